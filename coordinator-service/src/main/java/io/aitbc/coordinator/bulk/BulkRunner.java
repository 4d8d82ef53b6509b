package io.aitbc.coordinator.bulk;

import io.aitbc.coordinator.assign.Cancellations;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.deadletter.DeadLetterArchive;
import io.aitbc.coordinator.history.BulkOperations;
import io.aitbc.coordinator.history.TaskHistory;
import io.aitbc.coordinator.intake.Redrive;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.util.List;
import java.util.stream.Stream;

/** Works on several bulk operations at a time: one that takes hours does not hold back the next one. */
public final class BulkRunner implements BackgroundService {
    private static final int WORKERS = 4;

    /** None without a history. */
    private final List<BulkWorker> workers;

    BulkRunner(
            BulkOperations operations,
            TaskHistory history,
            Cancellations cancellations,
            Redrive redrive,
            DeadLetterArchive letters,
            TaskStates states) {
        workers = Stream.generate(() -> new BulkWorker(operations, history, cancellations, redrive, letters, states))
                .limit(operations.isOn() ? WORKERS : 0)
                .toList();
    }

    @Override
    public void start() {
        workers.forEach(BulkWorker::start);
    }

    @Override
    public void close() {
        workers.forEach(BulkWorker::close);
    }

    @Override
    public List<Problem> problems() {
        return workers.stream().flatMap(worker -> worker.problems().stream()).toList();
    }
}

package io.aitbc.agentctl;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Waits for tasks to end and collects their outcomes. The threads only query; the caller's thread records the answers. */
final class Endings {
    private static final int ASKED_AT_ONCE = 32;

    /** Long-poll timeout per query. Then other tasks are queried, so that a slow task does not hide how many have ended. */
    private static final Duration TURN = Duration.ofSeconds(2);

    private final Coordinator coordinator;
    private final Map<String, Long> counts = new TreeMap<>();
    private final List<TaskState> notCompleted = new ArrayList<>();

    Endings(Coordinator coordinator) {
        this.coordinator = coordinator;
    }

    void await(Collection<String> taskIds, Progress progress) throws InterruptedException {
        Deque<String> unasked = new ArrayDeque<>(taskIds);
        ExecutorService askers = Executors.newFixedThreadPool(ASKED_AT_ONCE);
        CompletionService<TaskState> answers = new ExecutorCompletionService<>(askers);
        int asked = 0;
        try {
            while (asked > 0 || !unasked.isEmpty()) {
                for (; asked < ASKED_AT_ONCE && !unasked.isEmpty(); asked++) {
                    String taskId = unasked.removeFirst();
                    answers.submit(() -> coordinator.task(taskId, TURN));
                }
                TaskState task = answers.take().get();
                asked--;
                if (task.hasEnded()) {
                    note(task);
                    progress.by(1);
                } else {
                    unasked.addLast(task.id());
                }
            }
        } catch (ExecutionException e) {
            throw e.getCause() instanceof CommandFailedException failed ? failed : new IllegalStateException(e);
        } finally {
            askers.shutdownNow();
        }
    }

    /** The number of ended tasks by status. */
    Map<String, Long> counts() {
        return counts;
    }

    List<TaskState> notCompleted() {
        return notCompleted;
    }

    private void note(TaskState task) {
        counts.merge(task.status(), 1L, Long::sum);
        if (!task.isCompleted()) {
            notCompleted.add(task);
        }
    }
}

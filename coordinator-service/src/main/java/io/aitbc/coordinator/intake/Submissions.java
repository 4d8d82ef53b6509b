package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.lettuce.core.RedisException;
import java.time.Clock;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Accepts tasks over REST. May be used by any thread. */
public final class Submissions {
    private static final Logger log = LoggerFactory.getLogger(Submissions.class);
    private static final long WAIT_SECONDS = 10;

    private final TaskQueue queue;
    private final TaskStates states;
    private final Clock clock;

    public Submissions(TaskQueue queue, TaskStates states, Clock clock) {
        this.queue = queue;
        this.states = states;
        this.clock = clock;
    }

    /** @param repeated whether the task had been submitted before, and this is what was accepted then */
    public record Accepted(String taskId, Priority priority, Instant submittedAt, boolean repeated) {}

    /**
     * Puts a task into its queue. A task whose id is known already is not queued again: the first submission is the answer. Without
     * Redis that cannot be told, and the task is queued; the reservation keeps it from running twice.
     *
     * @throws NotTakenException if Kafka does not confirm the task in time
     */
    public Accepted submit(Task task) throws InterruptedException {
        Optional<Accepted> first = task.taskId() == null ? Optional.empty() : firstSubmission(task.taskId());
        if (first.isPresent()) {
            return first.get();
        }
        Priority priority = task.priority() == null ? Priority.NORMAL : task.priority();
        Task accepted = task.attempt(1, task.notBefore())
                .accepted(task.taskId() == null ? TaskIds.next() : task.taskId(), clock.instant());
        append(accepted, priority);
        try {
            states.noteQueued(accepted, priority);
        } catch (RedisException e) {
            log.atDebug().addKeyValue("task_id", accepted.taskId()).log("Accepted without Redis: {}", e.toString());
        }
        return new Accepted(accepted.taskId(), priority, accepted.submittedAt(), false);
    }

    private Optional<Accepted> firstSubmission(String taskId) {
        try {
            return states.find(taskId)
                    .filter(hash -> hash.containsKey("submitted_at"))
                    .map(Submissions::repeated);
        } catch (RedisException e) {
            return Optional.empty();
        }
    }

    private static Accepted repeated(Map<String, String> hash) {
        return new Accepted(
                hash.get("task_id"),
                Priority.parse(hash.get("priority")),
                Instant.parse(hash.get("submitted_at")),
                true);
    }

    private void append(Task task, Priority priority) throws InterruptedException {
        try {
            queue.append(task, priority).get(WAIT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new NotTakenException(e.getCause());
        } catch (TimeoutException e) {
            throw new NotTakenException(e);
        }
    }

    /** Kafka did not confirm a task. It may be there all the same: submitting it again under the same id is safe. */
    public static final class NotTakenException extends RuntimeException {
        NotTakenException(Throwable cause) {
            super("Kafka did not take the task: " + cause.getMessage(), cause);
        }
    }
}

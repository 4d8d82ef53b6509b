package io.aitbc.coordinator.intake;

import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.trace.TraceHeader;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** Brings tasks back that have failed for good. May be used by any thread. */
public final class Redrive {
    private static final Script REDRIVE = Script.beside(Redrive.class, "redrive");
    private static final int MAX_ATTEMPTS_EVER = 100;
    private static final long WAIT_SECONDS = 10;

    private final DeadLetterArchive archive;
    private final TaskQueue queue;
    private final Redis redis;

    public Redrive(DeadLetterArchive archive, TaskQueue queue, Redis redis) {
        this.archive = archive;
        this.queue = queue;
        this.redis = redis;
    }

    /** A task that waits again, for as many attempts as it had at first. */
    public record Redriven(String taskId, int attempt, Priority priority) {}

    /** A task cannot be brought back; the message says why. */
    public static final class NotPossibleException extends RuntimeException {
        private final boolean unknown;

        NotPossibleException(boolean unknown, String message) {
            super(message);
            this.unknown = unknown;
        }

        /** Whether nothing is set aside under its name. */
        public boolean isUnknown() {
            return unknown;
        }
    }

    /**
     * Lets a task wait again. Asked again before it is assigned, it does no harm.
     *
     * @throws NotPossibleException if it has not failed, or what was set aside is no task
     * @throws Submissions.NotTakenException if Kafka does not confirm it in time; to be asked again
     */
    public Redriven redrive(String taskId) throws InterruptedException {
        DeadLetterArchive.Letter letter = archive.find(taskId)
                .orElseThrow(() -> new NotPossibleException(true, "nothing is set aside under this task_id"));
        String priorityName = letter.header(DeadLetterHeaders.PRIORITY);
        if (priorityName == null) {
            throw new NotPossibleException(
                    false, "what was set aside cannot be tried again: " + letter.header(DeadLetterHeaders.DETAIL));
        }
        Priority priority = Priority.parse(priorityName);
        Task task = Json.read(letter.value(), Task.class);
        int again = Math.min(task.maxAttempts(), MAX_ATTEMPTS_EVER - task.attempt());
        if (again <= 0) {
            throw new NotPossibleException(false, "the task has been tried " + MAX_ATTEMPTS_EVER + " times");
        }
        List<Object> answer = REDRIVE.runNow(
                redis,
                List.of(
                        taskId,
                        task.attempt().toString(),
                        priority.wireName(),
                        task.submittedAt().toString(),
                        String.valueOf(again)));
        int attempt = ((Long) answer.get(1)).intValue();
        if (attempt == 0) {
            throw new NotPossibleException(
                    false, "only a failed task can be tried again, and this one is " + answer.get(0));
        }
        append(
                task.again(attempt, Math.min(MAX_ATTEMPTS_EVER, attempt - 1 + again)),
                priority,
                TraceHeader.checked(letter.header(TaskHeaders.TRACEPARENT)));
        return new Redriven(taskId, attempt, priority);
    }

    private void append(Task task, Priority priority, @Nullable String trace) throws InterruptedException {
        try {
            queue.append(task, priority, trace).get(WAIT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new Submissions.NotTakenException(e.getCause());
        } catch (TimeoutException e) {
            throw new Submissions.NotTakenException(e);
        }
    }
}

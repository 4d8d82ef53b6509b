package io.aitbc.worker;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Performs the work of an assignment. Called concurrently, up to the agent's capacity; on a virtual thread, if the JDK has them. For example:
 *
 * <pre>{@code
 * Handler adder = (assignment, context) ->
 *         Json.tree(assignment.taskData().get("a").asInt() + assignment.taskData().get("b").asInt());
 * }</pre>
 */
@FunctionalInterface
public interface Handler {
    /**
     * Runs one attempt. The thread is interrupted when the task is cancelled, or when the agent stops before it has ended.
     *
     * @return the result, any JSON
     * @throws RejectedException to requeue the task for another agent without consuming an attempt
     * @throws PermanentFailureException to fail the task at once, because a retry cannot help
     * @throws RetryLaterException to fail the attempt, and delay the next one
     * @throws Exception if the attempt failed; the message is the error, and the task is retried while it has attempts left
     */
    @Nullable
    JsonNode handle(Assignment assignment, AssignmentContext context) throws Exception;

    /** Runs one attempt, and returns what the agent reports about it: {@code completed}, {@code failed} or {@code rejected}. */
    default TaskResult run(Assignment assignment, AssignmentContext context) {
        Instant startedAt = context.now();
        return runFrom(startedAt, assignment, context).withUsage(context.usage());
    }

    private TaskResult runFrom(Instant startedAt, Assignment assignment, AssignmentContext context) {
        try {
            JsonNode result = handle(assignment, context);
            return TaskResult.of(assignment, TaskResult.Status.COMPLETED, result, null, startedAt, context.now());
        } catch (Throwable e) {
            TaskResult.Status status =
                    e instanceof RejectedException ? TaskResult.Status.REJECTED : TaskResult.Status.FAILED;
            TaskResult result = TaskResult.of(assignment, status, null, Json.tree(reason(e)), startedAt, context.now());
            if (e instanceof PermanentFailureException) {
                return result.notRetryable();
            }
            return e instanceof RetryLaterException later ? result.retryAfter(later.delay(), later.limit()) : result;
        }
    }

    private static String reason(Throwable e) {
        try {
            return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        } catch (RuntimeException unspeakable) {
            return e.getClass().getSimpleName();
        }
    }

    /** Thrown when the attempt failed and a retry cannot help, such as for invalid input. The task is dead-lettered. */
    class PermanentFailureException extends Exception {
        public PermanentFailureException(String reason) {
            super(reason);
        }
    }

    /** Thrown when the attempt failed and an earlier retry cannot help, such as for a rate limit. */
    class RetryLaterException extends Exception {
        private final Duration delay;
        private final @Nullable String limit;

        /** @param delay minimum delay of the next attempt; more than a day counts as a day */
        public RetryLaterException(String reason, Duration delay) {
            this(reason, delay, null);
        }

        /**
         * @param delay minimum delay of the next attempt; more than a day counts as a day
         * @param limit one in the assignment's {@code uses}, of which no task gets units until then, as after a provider's 429
         */
        public RetryLaterException(String reason, Duration delay, @Nullable String limit) {
            super(reason);
            this.delay = delay;
            this.limit = limit;
        }

        /** Null if other tasks need not wait. */
        public @Nullable String limit() {
            return limit;
        }

        public Duration delay() {
            return delay;
        }
    }

    /** Thrown when this agent cannot take the task now but another may. */
    class RejectedException extends Exception {
        public RejectedException(String reason) {
            super(reason);
        }
    }
}

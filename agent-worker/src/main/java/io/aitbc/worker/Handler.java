package io.aitbc.worker;

import io.aitbc.contracts.Assignment;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Performs the work of an assignment. Called concurrently, up to the agent's capacity. */
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
    JsonNode handle(Assignment assignment, Progress progress) throws Exception;

    /** Reports progress to the coordinator, which restarts the timeout of the attempt. */
    @FunctionalInterface
    interface Progress {
        void report(JsonNode soFar);
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

        /** @param delay minimum delay of the next attempt; more than a day counts as a day */
        public RetryLaterException(String reason, Duration delay) {
            super(reason);
            this.delay = delay;
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

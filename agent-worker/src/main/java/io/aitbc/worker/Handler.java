package io.aitbc.worker;

import io.aitbc.contracts.Assignment;
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
     * @throws Exception if the attempt failed; the message is the error, and the task is retried while it has attempts left
     */
    @Nullable
    JsonNode handle(Assignment assignment, Progress progress) throws Exception;

    /** Reports progress to the coordinator, which restarts the timeout of the attempt. */
    @FunctionalInterface
    interface Progress {
        void report(JsonNode soFar);
    }

    /** Thrown when this agent cannot take the task now but another may. */
    class RejectedException extends Exception {
        public RejectedException(String reason) {
            super(reason);
        }
    }
}

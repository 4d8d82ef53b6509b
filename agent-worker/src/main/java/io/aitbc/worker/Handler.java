package io.aitbc.worker;

import io.aitbc.contracts.Assignment;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Does the work of an assignment. Called by several threads at once, up to the agent's capacity. */
@FunctionalInterface
public interface Handler {
    /**
     * Interrupted when the task is cancelled, or when the agent ends before it is done.
     *
     * @return the result, any JSON
     * @throws RejectedException to give the task to another agent, without using up an attempt
     * @throws Exception the attempt has failed; the message is the error, and the task is tried again while it has attempts left
     */
    @Nullable
    JsonNode handle(Assignment assignment, Progress progress) throws Exception;

    /** Tells the coordinator that the work goes on: the deadline moves out by the task's timeout. */
    @FunctionalInterface
    interface Progress {
        void report(JsonNode soFar);
    }

    /** This agent cannot take the task now; another may. */
    class RejectedException extends Exception {
        public RejectedException(String reason) {
            super(reason);
        }
    }
}

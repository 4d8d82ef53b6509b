package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.worker.Handler;
import tools.jackson.databind.JsonNode;

/** Gives the task data back. */
public final class Echo implements Handler {
    @Override
    public JsonNode handle(Assignment assignment, Progress progress) {
        return assignment.taskData();
    }
}

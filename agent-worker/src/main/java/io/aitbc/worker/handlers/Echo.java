package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import tools.jackson.databind.JsonNode;

/** Returns the task data. */
public final class Echo implements Handler {
    @Override
    public JsonNode handle(Assignment assignment, AssignmentContext context) {
        return assignment.taskData();
    }
}

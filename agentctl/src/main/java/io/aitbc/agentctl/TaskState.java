package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The state of a task at the time of the query. */
record TaskState(JsonNode json) {
    private static final Set<String> ENDED = Set.of("completed", "failed", "cancelled", "expired");

    String id() {
        return text("task_id");
    }

    String status() {
        return text("status");
    }

    boolean hasEnded() {
        return hasEnded(status());
    }

    static boolean hasEnded(String status) {
        return ENDED.contains(status);
    }

    boolean isCompleted() {
        return status().equals("completed");
    }

    /** Returns a field as plain text, or as JSON if it is not a string; empty if absent. */
    String text(String field) {
        return text(json.path(field));
    }

    static String text(JsonNode value) {
        return value.isMissingNode() || value.isNull() ? "" : value.isString() ? value.asString() : Json.text(value);
    }

    /** Returns the outcome in one sentence. */
    String outcome() {
        String error = text("error");
        String how = switch (status()) {
            case "cancelled" -> "was cancelled";
            case "completed" -> "is completed";
            default -> "has " + status();
        };
        return Json.sentence("Task " + id() + " " + how + (isCompleted() || error.isEmpty() ? "" : ": " + error));
    }

    /** @throws CommandFailedException if the task ended without completing */
    void requireCompleted() {
        if (!isCompleted()) {
            throw new CommandFailedException(outcome());
        }
    }
}

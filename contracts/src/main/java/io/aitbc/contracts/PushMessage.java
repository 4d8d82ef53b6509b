package io.aitbc.contracts;

import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The body of {@code POST /tasks/execute}: an assignment, which is also a message as agents of the architecture exchange them. */
public final class PushMessage {
    private static final String SENDER = "agent-coordinator";
    private static final Set<String> IN_PAYLOAD = Set.of(
            "assignment_id",
            "task_id",
            "attempt",
            "priority",
            "task_data",
            "requirements",
            "timeout_seconds",
            "deadline");

    private PushMessage() {}

    /** @param json the assignment as JSON, which may hold more fields than this version knows */
    public static ObjectNode of(Assignment assignment, ObjectNode json, Instant now) {
        ObjectNode message = json.deepCopy();
        ObjectNode payload = message.objectNode();
        IN_PAYLOAD.forEach(field -> payload.set(field, json.path(field)));
        JsonNode type = json.path("task_data").path("task_type");
        payload.put("task_type", type.isString() ? type.asString() : "");
        message.put("id", assignment.assignmentId())
                .put("sender_id", SENDER)
                .put("receiver_id", assignment.agentId())
                .put("message_type", "task_assignment")
                // Messages of the architecture have no urgent priority.
                .put(
                        "priority",
                        (assignment.priority() == Priority.URGENT ? Priority.CRITICAL : assignment.priority())
                                .wireName())
                .put("timestamp", now.toString())
                .put("correlation_id", assignment.taskId())
                .put(
                        "ttl",
                        Math.max(1, Duration.between(now, assignment.deadline()).toSeconds()))
                .set("payload", payload);
        return message;
    }
}

package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;

/**
 * Notifies an agent, on its assignment topic, that an assignment is cancelled. Results reported for it afterwards are ignored. A
 * cancellation may overtake its assignment.
 *
 * @param type {@value #TYPE}; assignments have no type
 */
public record Cancellation(
        @JsonProperty("type") String type,
        @JsonProperty("assignment_id") String assignmentId,
        @JsonProperty("task_id") String taskId,
        @JsonProperty("attempt") Integer attempt,
        @JsonProperty("agent_id") String agentId,
        @JsonProperty("cancelled_at") Instant cancelledAt) {
    public static final String TYPE = "cancellation";

    public Cancellation {
        if (!TYPE.equals(type)) {
            throw new IllegalArgumentException("type must be \"" + TYPE + "\"");
        }
        Ids.check("task_id", taskId);
        Ids.check("agent_id", agentId);
        Checks.required("attempt", attempt);
        assignmentId = assignmentId == null ? Assignment.id(taskId, attempt) : assignmentId;
    }

    /**
     * Whether it applies to an assignment that arrives after it. An assignment made later belongs to a new task with the same id, submitted
     * after the state of the cancelled one was deleted.
     */
    public boolean appliesTo(Assignment assignment) {
        return assignmentId.equals(assignment.assignmentId())
                && (cancelledAt == null || !assignment.assignedAt().isAfter(cancelledAt));
    }

    public static Cancellation of(String taskId, int attempt, String agentId, Instant at) {
        return new Cancellation(TYPE, Assignment.id(taskId, attempt), taskId, attempt, agentId, at);
    }
}

package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.TaskStatus;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What Redis knows of a task. Fields that its status requires are present, see {@link TaskHash#essential}.
 *
 * @param fields the readable fields of its hash, by name
 */
public record TaskState(TaskStatus status, Map<String, String> fields) {
    /**
     * The number of its current or next attempt, from 1.
     *
     * @throws NumberFormatException if an ended task has none
     */
    public int attempt() {
        return Integer.parseInt(String.valueOf(fields.get("attempt")));
    }

    /** Whether this agent has it. */
    public boolean isAssignedTo(String agentId) {
        return status == TaskStatus.ASSIGNED && agentId.equals(fields.get("agent_id"));
    }

    /** The agent of its latest attempt. */
    public @Nullable String agentId() {
        return fields.get("agent_id");
    }

    public @Nullable Instant assignedAt() {
        return time("assigned_at");
    }

    public @Nullable Instant submittedAt() {
        return time("submitted_at");
    }

    /** Before this time it is not assigned. */
    public @Nullable Instant notBefore() {
        return time("not_before");
    }

    public @Nullable Priority priority() {
        String priority = fields.get("priority");
        return priority == null ? null : Priority.parse(priority);
    }

    public Requirements requirements() {
        String requirements = fields.get("requirements");
        return requirements == null ? Requirements.NONE : Json.read(requirements, Requirements.class);
    }

    private @Nullable Instant time(String name) {
        String time = fields.get(name);
        return time == null ? null : Instant.parse(time);
    }
}

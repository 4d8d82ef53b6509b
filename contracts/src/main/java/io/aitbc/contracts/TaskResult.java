package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonValue;
import java.time.Instant;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * An agent's report about an assignment: the value on {@code tasks.results}.
 *
 * @param assignmentId {@code <task_id>:<attempt>}, as in the assignment; optional, the two parts are authoritative
 * @param result any JSON, for {@code completed} and {@code progress}
 * @param error any JSON, preferably a sentence, for {@code failed} and {@code rejected}
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record TaskResult(
        @JsonProperty("assignment_id") String assignmentId,
        @JsonProperty("task_id") String taskId,
        @JsonProperty("attempt") Integer attempt,
        @JsonProperty("agent_id") String agentId,
        @JsonProperty("status") Status status,
        @JsonProperty("result") @Nullable JsonNode result,
        @JsonProperty("error") @Nullable JsonNode error,
        @JsonProperty("started_at") @Nullable Instant startedAt,
        @JsonProperty("finished_at") @Nullable Instant finishedAt) {

    public TaskResult {
        Ids.check("task_id", taskId);
        Ids.check("agent_id", agentId);
        Checks.required("attempt", attempt);
        Checks.required("status", status);
        assignmentId = assignmentId == null ? Assignment.id(taskId, attempt) : assignmentId;
    }

    public static TaskResult of(
            Assignment assignment,
            Status status,
            @Nullable JsonNode result,
            @Nullable JsonNode error,
            @Nullable Instant startedAt,
            @Nullable Instant finishedAt) {
        return new TaskResult(
                assignment.assignmentId(),
                assignment.taskId(),
                assignment.attempt(),
                assignment.agentId(),
                status,
                result,
                error,
                startedAt,
                finishedAt);
    }

    /** Status of the attempt. */
    public enum Status {
        /** Succeeded; the task has ended. */
        COMPLETED,
        /** Failed; the task is retried while it has attempts left. */
        FAILED,
        /** Not attempted; the task goes to another agent without using up an attempt. */
        REJECTED,
        /** Still running; the timeout of the attempt restarts. */
        PROGRESS;

        @JsonValue
        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }

        @JsonCreator
        public static Status parse(String text) {
            for (Status status : values()) {
                if (status.name().equalsIgnoreCase(text)) {
                    return status;
                }
            }
            throw new IllegalArgumentException(
                    "Invalid result status: " + text + " (one of completed, failed, rejected, progress)");
        }
    }
}

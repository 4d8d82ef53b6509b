package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonValue;
import java.time.Duration;
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
 * @param retryable false if a retry of a {@code failed} task cannot help: it is dead-lettered at once; otherwise true
 * @param retryAfterSeconds for {@code failed} and {@code rejected}: minimum delay of the next attempt, from 0; values above 86,400 s (1
 *     day) count as that
 * @param signature as in the assignment; required if that has one
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
        @JsonProperty("finished_at") @Nullable Instant finishedAt,
        @JsonProperty("retryable") @Nullable Boolean retryable,
        @JsonProperty("retry_after_seconds") @Nullable Double retryAfterSeconds,
        @JsonProperty("signature") @Nullable String signature) {

    public static final int MAX_RETRY_AFTER_SECONDS = 86_400;

    public TaskResult {
        Ids.check("task_id", taskId);
        Ids.check("agent_id", agentId);
        Checks.required("attempt", attempt);
        Checks.required("status", status);
        if (retryAfterSeconds != null) {
            if (!(retryAfterSeconds >= 0)) {
                throw new IllegalArgumentException("retry_after_seconds must be a number from 0");
            }
            // More than a day is shortened to that, instead of losing the result.
            retryAfterSeconds = Math.min(retryAfterSeconds, MAX_RETRY_AFTER_SECONDS);
        }
        assignmentId = assignmentId == null ? Assignment.id(taskId, attempt) : assignmentId;
    }

    /** A result that leaves retries to the coordinator. */
    public TaskResult(
            String assignmentId,
            String taskId,
            Integer attempt,
            String agentId,
            Status status,
            @Nullable JsonNode result,
            @Nullable JsonNode error,
            @Nullable Instant startedAt,
            @Nullable Instant finishedAt) {
        this(assignmentId, taskId, attempt, agentId, status, result, error, startedAt, finishedAt, null, null, null);
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
                finishedAt,
                null,
                null,
                assignment.signature());
    }

    /** The reason of an unsuccessful attempt; a default if the agent gave none. */
    public JsonNode reason() {
        return error == null ? Json.tree("the agent gave no reason") : error;
    }

    /** A copy without its result. */
    public TaskResult withoutResult() {
        return new TaskResult(
                assignmentId,
                taskId,
                attempt,
                agentId,
                status,
                null,
                error,
                startedAt,
                finishedAt,
                null,
                null,
                signature);
    }

    /** A copy of a failure after which the task is not retried. */
    public TaskResult notRetryable() {
        return withRetry(false, null);
    }

    /** A copy of a failure after which the task is retried no earlier than after a delay. */
    public TaskResult retryAfter(Duration delay) {
        return withRetry(null, delay.toMillis() / 1_000.0);
    }

    /** A copy with a signature. */
    public TaskResult signed(String signature) {
        return copy(retryable, retryAfterSeconds, signature);
    }

    private TaskResult withRetry(@Nullable Boolean retryable, @Nullable Double retryAfterSeconds) {
        return copy(retryable, retryAfterSeconds, signature);
    }

    private TaskResult copy(
            @Nullable Boolean retryable, @Nullable Double retryAfterSeconds, @Nullable String signature) {
        return new TaskResult(
                assignmentId,
                taskId,
                attempt,
                agentId,
                status,
                result,
                error,
                startedAt,
                finishedAt,
                retryable,
                retryAfterSeconds,
                signature);
    }

    /** Status of the attempt. */
    public enum Status {
        /** Succeeded; the task has ended. */
        COMPLETED,
        /** Failed; the task is retried while it has attempts left, unless it is not retryable. */
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

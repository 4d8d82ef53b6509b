package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonValue;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
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
 * @param limit with {@code retry_after_seconds}: a limit that the attempt used, of which no units are granted until then, as after a
 *     provider's 429
 * @param usage units of limits that the attempt has really used, of those that it held: their budgets are corrected by it. Up to 32, 0 to
 *     10<sup>12</sup> each
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
        @JsonProperty("limit") @Nullable String limit,

        @JsonProperty("usage") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Map<String, Long> usage,

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
        usage = Checks.usage(usage);
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
        this(
                assignmentId,
                taskId,
                attempt,
                agentId,
                status,
                result,
                error,
                startedAt,
                finishedAt,
                null,
                null,
                null,
                Map.of(),
                null);
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
                null,
                Map.of(),
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
                null,
                usage,
                signature);
    }

    /** A copy of a failure after which the task is not retried. */
    public TaskResult notRetryable() {
        return copy(false, null, null, usage, signature);
    }

    /** A copy of a failure after which the task is retried no earlier than after a delay. */
    public TaskResult retryAfter(Duration delay) {
        return retryAfter(delay, null);
    }

    /**
     * A copy of a failure after which the task is retried no earlier than after a delay.
     *
     * @param limit of which no units are granted until then; null if there is none
     */
    public TaskResult retryAfter(Duration delay, @Nullable String limit) {
        return copy(null, delay.toMillis() / 1_000.0, limit, usage, signature);
    }

    /** A copy that says what the attempt has really used of limits. */
    public TaskResult withUsage(Map<String, Long> usage) {
        return usage.isEmpty() ? this : copy(retryable, retryAfterSeconds, limit, usage, signature);
    }

    /** A copy with a signature. */
    public TaskResult signed(String signature) {
        return copy(retryable, retryAfterSeconds, limit, usage, signature);
    }

    private TaskResult copy(
            @Nullable Boolean retryable,
            @Nullable Double retryAfterSeconds,
            @Nullable String limit,
            Map<String, Long> usage,
            @Nullable String signature) {
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
                limit,
                usage,
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

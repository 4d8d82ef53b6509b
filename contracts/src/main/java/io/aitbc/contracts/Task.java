package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonAnyGetter;
import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A unit of work: the body of {@code POST /tasks/submit}, and the value on {@code tasks.<priority>}.
 *
 * @param taskId permanent id of the task; defaults to {@code task_data.task_id}; if both are absent, generated at intake
 * @param payload what the agent gets as {@code task_data}, opaque to the coordinator
 * @param priority used over REST; ignored on Kafka, where the topic determines the priority
 * @param maxAttempts maximum number of attempts, 1 to 100; 3 when absent
 * @param timeoutSeconds time limit of one attempt, 1 to 259,200 s (3 days); 600 when absent
 * @param notBefore earliest time of assignment
 * @param expiresAt latest time of assignment; afterwards the task ends as {@code expired}
 * @param submittedAt when the task was first accepted; unchanged by retries
 * @param attempt number of this attempt, from 1
 * @param rejectedBy the agent that rejected the task last; the next assignment goes to another one if possible
 * @param chainId same as {@code requirements.chain_id}, in the place where existing clients put it
 * @param fairnessKey groups tasks that belong together, such as a tenant's; 1 to 64 characters. Keys share agents, within a priority. A caller with a scope submits with its own
 * @param fairnessWeight share of its key beside those of others, 0.001 to 1,000; 1 when absent. A weight that operators set for the key takes
 *     precedence
 * @param labels key/value texts, such as {@code team: search}, shown with the task and searchable; up to 16. Names of 1 to 100 characters, values of up to 256
 * @param uses units of named limits that an attempt takes, such as {@code openai/gpt-5: 1}; up to 16, 1 to 10<sup>12</sup> each. An
 *     attempt starts once all of them are available
 * @param unknown fields unknown to this version, passed through unchanged
 */
public record Task(
        @JsonProperty("task_id") @Nullable String taskId,
        @JsonProperty("task_data") Payload payload,
        @JsonProperty("priority") @Nullable Priority priority,
        @JsonProperty("requirements") Requirements requirements,
        @JsonProperty("max_attempts") Integer maxAttempts,
        @JsonProperty("timeout_seconds") Integer timeoutSeconds,
        @JsonProperty("not_before") @Nullable Instant notBefore,
        @JsonProperty("expires_at") @Nullable Instant expiresAt,
        @JsonProperty("submitted_at") @Nullable Instant submittedAt,
        @JsonProperty("attempt") Integer attempt,
        @JsonProperty("rejected_by") @Nullable String rejectedBy,

        @JsonProperty("chain_id") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        String chainId,

        @JsonProperty("fairness_key") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        String fairnessKey,

        @JsonProperty("fairness_weight") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        Double fairnessWeight,

        @JsonProperty("labels") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Map<String, String> labels,

        @JsonProperty("uses") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Map<String, Long> uses,

        @JsonAnySetter @JsonAnyGetter Map<String, JsonNode> unknown) {

    public static final int DEFAULT_MAX_ATTEMPTS = 3;
    /** Upper bound of {@code max_attempts}, and of the attempts of a task including its redrives. */
    public static final int MAX_ATTEMPTS = 100;

    public static final double MIN_FAIRNESS_WEIGHT = 0.001;
    public static final double MAX_FAIRNESS_WEIGHT = 1_000;

    public static final int DEFAULT_TIMEOUT_SECONDS = 600;
    public static final int MAX_TIMEOUT_SECONDS = 259_200;

    public Task {
        Checks.required("task_data", payload);
        if (taskId == null && payload.tree().hasNonNull("task_id")) {
            taskId = payload.tree().get("task_id").asString();
        }
        if (taskId != null) {
            Ids.checkTaskId("task_id", taskId);
        }
        requirements = onChain(chainId, requirements == null ? Requirements.NONE : requirements);
        maxAttempts =
                Checks.range("max_attempts", maxAttempts == null ? DEFAULT_MAX_ATTEMPTS : maxAttempts, 1, MAX_ATTEMPTS);
        timeoutSeconds = Checks.range(
                "timeout_seconds",
                timeoutSeconds == null ? DEFAULT_TIMEOUT_SECONDS : timeoutSeconds,
                1,
                MAX_TIMEOUT_SECONDS);
        attempt = Checks.range("attempt", attempt == null ? 1 : attempt, 1, 1_000_000);
        if (rejectedBy != null) {
            Ids.check("rejected_by", rejectedBy);
        }
        if (fairnessKey != null) {
            Ids.checkFairnessKey(fairnessKey);
        }
        if (fairnessWeight != null) {
            Checks.range("fairness_weight", fairnessWeight, MIN_FAIRNESS_WEIGHT, MAX_FAIRNESS_WEIGHT);
        }
        labels = Checks.labels(labels);
        uses = Checks.uses(uses);
        unknown = Checks.unknown(unknown);
    }

    /** The {@code task_type} of its data; null if it has none. */
    public @Nullable String taskType() {
        JsonNode type = payload.tree().path("task_type");
        return type.isString() ? type.asString() : null;
    }

    private static Requirements onChain(@Nullable String chainId, Requirements requirements) {
        if (chainId == null || chainId.isEmpty() || chainId.equals(requirements.chainId())) {
            return requirements;
        }
        if (requirements.chainId() != null) {
            throw new IllegalArgumentException("chain_id must equal requirements.chain_id but was \""
                    + Checks.shortened(chainId) + "\", not \"" + Checks.shortened(requirements.chainId()) + "\"");
        }
        return requirements.onChain(Objects.requireNonNull(Checks.optionalText("chain_id", chainId)));
    }

    @SuppressWarnings("NullAway") // The constructor replaces null by defaults.
    public static Task of(String taskId, ObjectNode taskData, Requirements requirements) {
        return new Task(
                taskId,
                Payload.of(taskData),
                null,
                requirements,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                Map.of(),
                Map.of(),
                Map.of());
    }

    /**
     * The id of an accepted task.
     *
     * @throws NullPointerException before acceptance, if the submitter left the choice to the coordinator
     */
    public String id() {
        return Objects.requireNonNull(taskId, "task_id");
    }

    /**
     * The time of acceptance.
     *
     * @throws NullPointerException before acceptance
     */
    public Instant acceptedAt() {
        return Objects.requireNonNull(submittedAt, "submitted_at");
    }

    /** A copy as stored in a queue: with an id, the time of acceptance, and no priority, which the topic implies. */
    public Task accepted(String id, Instant at) {
        return new Task(
                id,
                payload,
                null,
                requirements,
                maxAttempts,
                timeoutSeconds,
                notBefore,
                expiresAt,
                at,
                attempt,
                rejectedBy,
                chainId,
                fairnessKey,
                fairnessWeight,
                labels,
                uses,
                unknown);
    }

    /** A copy as newly submitted. */
    public Task firstAttempt() {
        return withAttempt(maxAttempts, notBefore, expiresAt, 1, rejectedBy);
    }

    /** A copy with one more attempt, up to 100, to make up for the one the agent rejected. */
    public Task rejected(String agentId) {
        return withAttempt(Math.min(MAX_ATTEMPTS, maxAttempts + 1), notBefore, expiresAt, attempt, agentId);
    }

    /** A copy of a permanently failed task that continues with a given attempt number. */
    public Task redriven(int number, int maxAttempts) {
        return withAttempt(maxAttempts, null, null, number, null);
    }

    /** A copy for the next attempt, not before a given time. */
    public Task attempt(int number, @Nullable Instant earliest) {
        return withAttempt(maxAttempts, earliest, expiresAt, number, rejectedBy);
    }

    /** A copy with a fairness key. */
    public Task withFairnessKey(String fairnessKey) {
        return copy(maxAttempts, notBefore, expiresAt, attempt, rejectedBy, fairnessKey);
    }

    private Task withAttempt(
            int maxAttempts,
            @Nullable Instant notBefore,
            @Nullable Instant expiresAt,
            int attempt,
            @Nullable String rejectedBy) {
        return copy(maxAttempts, notBefore, expiresAt, attempt, rejectedBy, fairnessKey);
    }

    private Task copy(
            int maxAttempts,
            @Nullable Instant notBefore,
            @Nullable Instant expiresAt,
            int attempt,
            @Nullable String rejectedBy,
            @Nullable String fairnessKey) {
        return new Task(
                taskId,
                payload,
                priority,
                requirements,
                maxAttempts,
                timeoutSeconds,
                notBefore,
                expiresAt,
                submittedAt,
                attempt,
                rejectedBy,
                chainId,
                fairnessKey,
                fairnessWeight,
                labels,
                uses,
                unknown);
    }
}

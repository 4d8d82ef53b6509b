package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonAnyGetter;
import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * One attempt of a task, given to one agent: the value on {@code assignments.<agent_id>}.
 *
 * <p>The topic may contain the same assignment twice, always with the same {@code assignment_id} and always in the same agent's
 * topic. The agent runs the first copy and drops the others.
 *
 * @param assignmentId {@link #id task_id and attempt}
 * @param deadline when the coordinator reassigns the task, unless a result or progress report arrives first
 * @param maxAttempts carried so that a retry can be built from this message alone
 * @param timeoutSeconds time limit of the attempt; each progress report restarts it
 * @param fairnessKey of the task
 * @param fairnessWeight of the task
 * @param labels of the task
 * @param uses units of limits that the attempt holds: those that the task names, and those that apply to it without that
 * @param appliedLimits which of them the task does not name
 * @param signature proves that the coordinator gave this attempt to this agent; results repeat it. Null while security is off
 * @param unknown task fields unknown to this version, passed through unchanged
 */
public record Assignment(
        @JsonProperty("assignment_id") String assignmentId,
        @JsonProperty("task_id") String taskId,
        @JsonProperty("attempt") Integer attempt,
        @JsonProperty("agent_id") String agentId,
        @JsonProperty("priority") Priority priority,
        @JsonProperty("task_data") Payload payload,
        @JsonProperty("requirements") Requirements requirements,
        @JsonProperty("max_attempts") Integer maxAttempts,
        @JsonProperty("timeout_seconds") Integer timeoutSeconds,
        @JsonProperty("expires_at") @Nullable Instant expiresAt,
        @JsonProperty("submitted_at") Instant submittedAt,
        @JsonProperty("assigned_at") Instant assignedAt,
        @JsonProperty("deadline") Instant deadline,

        @JsonProperty("fairness_key") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        String fairnessKey,

        @JsonProperty("fairness_weight") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        Double fairnessWeight,

        @JsonProperty("signature") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        String signature,

        @JsonProperty("labels") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Map<String, String> labels,

        @JsonProperty("uses") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Map<String, Long> uses,

        @JsonProperty("applied_limits") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Set<String> appliedLimits,

        @JsonAnySetter @JsonAnyGetter Map<String, JsonNode> unknown) {

    private static final Payload NOTHING = Payload.of(Json.object());
    private static final Set<String> OWN_FIELDS =
            Set.of("type", "assignment_id", "agent_id", "assigned_at", "deadline", "signature", "applied_limits");

    public Assignment {
        Ids.check("task_id", taskId);
        Ids.check("agent_id", agentId);
        attempt = Checks.range("attempt", Checks.required("attempt", attempt), 1, 1_000_000);
        assignmentId = assignmentId == null ? id(taskId, attempt) : assignmentId;
        Checks.required("priority", priority);
        Checks.required("task_data", payload);
        requirements = requirements == null ? Requirements.NONE : requirements;
        maxAttempts = maxAttempts == null ? Task.DEFAULT_MAX_ATTEMPTS : maxAttempts;
        timeoutSeconds = timeoutSeconds == null ? Task.DEFAULT_TIMEOUT_SECONDS : timeoutSeconds;
        Checks.required("submitted_at", submittedAt);
        Checks.required("assigned_at", assignedAt);
        Checks.required("deadline", deadline);
        labels = Checks.labels(labels);
        uses = Checks.allUses(uses);
        appliedLimits = appliedLimits == null ? Set.of() : Set.copyOf(appliedLimits);
        unknown = Checks.unknown(unknown);
    }

    /** The id of an attempt: {@code <task_id>:<attempt>}. Task ids contain no colon, so no two attempts collide. */
    public static String id(String taskId, int attempt) {
        return taskId + ":" + attempt;
    }

    /**
     * An assignment of a task that no limits apply to but those that it names.
     */
    public static Assignment of(Task task, Priority priority, String agentId, Instant assignedAt) {
        return of(task, priority, agentId, assignedAt, task.uses());
    }

    /** @param uses units of limits that the attempt holds: those of the task, and of limits that apply to it */
    public static Assignment of(
            Task task, Priority priority, String agentId, Instant assignedAt, Map<String, Long> uses) {
        Set<String> applied = Set.of();
        if (uses.size() > task.uses().size()) {
            applied = new HashSet<>(uses.keySet());
            applied.removeAll(task.uses().keySet());
        }
        return new Assignment(
                id(task.id(), task.attempt()),
                task.id(),
                task.attempt(),
                agentId,
                priority,
                task.payload(),
                task.requirements(),
                task.maxAttempts(),
                task.timeoutSeconds(),
                task.expiresAt(),
                task.acceptedAt(),
                assignedAt,
                assignedAt.plusSeconds(task.timeoutSeconds()),
                task.fairnessKey(),
                task.fairnessWeight(),
                null,
                task.labels(),
                uses,
                applied,
                withoutOwnFields(task.unknown()));
    }

    /** Removes unknown task fields that collide with an assignment's own fields or with the message type. */
    private static Map<String, JsonNode> withoutOwnFields(Map<String, JsonNode> unknown) {
        if (OWN_FIELDS.stream().noneMatch(unknown::containsKey)) {
            return unknown;
        }
        Map<String, JsonNode> forwarded = new LinkedHashMap<>(unknown);
        forwarded.keySet().removeAll(OWN_FIELDS);
        return forwarded;
    }

    /** What the agent is to work on. */
    public ObjectNode taskData() {
        return payload.tree();
    }

    /** This assignment without task data and unknown fields: what is needed to keep track of it. */
    public Assignment withoutPayload() {
        return new Assignment(
                assignmentId,
                taskId,
                attempt,
                agentId,
                priority,
                NOTHING,
                requirements,
                maxAttempts,
                timeoutSeconds,
                expiresAt,
                submittedAt,
                assignedAt,
                deadline,
                fairnessKey,
                fairnessWeight,
                signature,
                labels,
                uses,
                appliedLimits,
                Map.of());
    }

    /** A copy with a signature. */
    public Assignment signed(String signature) {
        return new Assignment(
                assignmentId,
                taskId,
                attempt,
                agentId,
                priority,
                payload,
                requirements,
                maxAttempts,
                timeoutSeconds,
                expiresAt,
                submittedAt,
                assignedAt,
                deadline,
                fairnessKey,
                fairnessWeight,
                signature,
                labels,
                uses,
                appliedLimits,
                unknown);
    }

    /** The task of this attempt, as of the time of assignment. */
    public Task task() {
        Map<String, Long> named = uses;
        if (!appliedLimits.isEmpty()) {
            named = new LinkedHashMap<>(uses);
            named.keySet().removeAll(appliedLimits);
        }
        return new Task(
                taskId,
                payload,
                null,
                requirements,
                maxAttempts,
                timeoutSeconds,
                null,
                expiresAt,
                submittedAt,
                attempt,
                null,
                null,
                fairnessKey,
                fairnessWeight,
                labels,
                named,
                unknown);
    }
}

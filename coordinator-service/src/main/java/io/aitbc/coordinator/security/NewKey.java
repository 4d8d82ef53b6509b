package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Ids;
import org.jspecify.annotations.Nullable;

/**
 * The body of {@code POST /keys}.
 *
 * @param name for people, 1 to 100 characters
 * @param agentId required for role agent, and for no other: an agent's id, or a prefix followed by {@code *}
 * @param fairnessKey for role submitter only: what it submits gets this fairness key, and it sees no other tasks; absent for all tasks
 * @param expiresInSeconds 1 s to ten years; absent if the key does not expire
 */
public record NewKey(
        @JsonProperty("name") String name,
        @JsonProperty("role") Role role,
        @JsonProperty("agent_id") @Nullable String agentId,
        @JsonProperty("fairness_key") @Nullable String fairnessKey,
        @JsonProperty("expires_in_seconds") @Nullable Long expiresInSeconds) {
    private static final int MAX_NAME_LENGTH = 100;
    private static final long MAX_SECONDS = 10L * 365 * 24 * 3_600;

    public NewKey {
        if (name == null
                || name.isBlank()
                || name.length() > MAX_NAME_LENGTH
                || name.chars().anyMatch(Character::isISOControl)) {
            throw new IllegalArgumentException("name is required, with at most " + MAX_NAME_LENGTH
                    + " characters, none of them a control character");
        }
        if (role == null) {
            throw new IllegalArgumentException("role is required");
        }
        if ((role == Role.AGENT) != (agentId != null)) {
            throw new IllegalArgumentException("agent_id is required for role agent, and for no other");
        }
        if (agentId != null && !agentId.replaceFirst("\\*$", "").matches(Ids.PATTERN)) {
            throw new IllegalArgumentException("agent_id " + Ids.RULE + ", possibly followed by a *");
        }
        if (fairnessKey != null) {
            if (role != Role.SUBMITTER) {
                throw new IllegalArgumentException("fairness_key is for role submitter only");
            }
            Ids.checkFairnessKey(fairnessKey);
        }
        if (expiresInSeconds != null && (expiresInSeconds < 1 || expiresInSeconds > MAX_SECONDS)) {
            throw new IllegalArgumentException("expires_in_seconds must be 1 to " + MAX_SECONDS);
        }
    }
}

package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * An API key, as stored: its secret is known only to its owner.
 *
 * @param agentId the agent that a key with role agent is for; a prefix if it ends with {@code *}
 * @param fairnessKey the only one whose tasks a key with role submitter is for; null for all tasks
 * @param userId whose key it is: its role is the one that the user has now; null if it has its own
 * @param hash SHA-256 of the secret as hexadecimal digits. The secret is random, so a slow hash would add nothing
 * @param expiresAt null if it does not expire
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record ApiKey(
        @JsonProperty("key_id") String keyId,
        @JsonProperty("name") String name,
        @JsonProperty("role") Role role,
        @JsonProperty("agent_id") @Nullable String agentId,
        @JsonProperty("fairness_key") @Nullable String fairnessKey,
        @JsonProperty("user_id") @Nullable String userId,
        @JsonProperty("hash") String hash,
        @JsonProperty("created_at") Instant createdAt,
        @JsonProperty("expires_at") @Nullable Instant expiresAt) {

    ApiKey {
        if (keyId == null || name == null || role == null || hash == null || createdAt == null) {
            throw new IllegalArgumentException("an API key must have an id, a name, a role, a hash and a time");
        }
    }

    static String hash(String secret) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(secret.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    boolean isExpired(Instant now) {
        return expiresAt != null && !now.isBefore(expiresAt);
    }

    /** @param present the role that it has now */
    Caller caller(Role present) {
        return new Caller(name, present, agentId, fairnessKey, null, keyId, expiresAt);
    }
}

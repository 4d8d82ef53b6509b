package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * Who did, or tried, what over REST: the value on {@code coordinator.audit}. It holds no secret.
 *
 * @param id of the request. A record that Kafka got twice has the same id
 * @param caller absent if the request had no valid credential
 * @param remoteAddress the other end of the connection: the client, or a proxy
 * @param forwardedFor the client, as a proxy with a private address says; absent without one
 * @param action method and path, with the names of variables; absent if there is no such path
 * @param details the variables of the path, and what the action was about; absent if there is nothing to say
 * @param status of the response: 401 and 403 are refusals
 * @param reason why it was refused or failed
 * @param count how many refusals the record stands for; absent for one
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record AuditRecord(
        @JsonProperty("id") String id,
        @JsonProperty("at") Instant at,
        @JsonProperty("caller") @Nullable Caller caller,
        @JsonProperty("remote_address") @Nullable String remoteAddress,
        @JsonProperty("forwarded_for") @Nullable String forwardedFor,
        @JsonProperty("action") @Nullable String action,
        @JsonProperty("details") @Nullable ObjectNode details,
        @JsonProperty("status") Integer status,
        @JsonProperty("reason") @Nullable String reason,
        @JsonProperty("count") @Nullable Long count) {

    /**
     * Who sent the request.
     *
     * @param name of the key, the user or the token's subject; {@code anyone} while security is off
     * @param keyId of its API key; absent if it has none
     * @param agentId the agent that it may act as; absent for other roles
     * @param fairnessKey the only one whose tasks it may see; absent for all
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Caller(
            @JsonProperty("name") String name,
            @JsonProperty("role") String role,
            @JsonProperty("key_id") @Nullable String keyId,
            @JsonProperty("agent_id") @Nullable String agentId,
            @JsonProperty("fairness_key") @Nullable String fairnessKey) {
        public Caller {
            Checks.required("name", name);
            Checks.required("role", role);
        }
    }

    public AuditRecord {
        Checks.required("id", id);
        Checks.required("at", at);
        Checks.required("status", status);
    }

    /** A record that stands for as many refusals. */
    public AuditRecord withCount(long count) {
        return new AuditRecord(id, at, caller, remoteAddress, forwardedFor, action, details, status, reason, count);
    }
}

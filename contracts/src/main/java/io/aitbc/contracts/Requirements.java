package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonAnyGetter;
import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * What a task asks of the agent that runs it. Whatever is absent is not asked.
 *
 * @param agentType the agent's type, exactly
 * @param capabilities the agent has all of them; {@code name>=version} asks for a {@link Capability} of at least that
 * @param services the agent offers all of them
 * @param tags the agent carries all of them
 * @param minHealthScore 0.0 to 1.0
 * @param region the agent's region, exactly, unless the strategy is GEOGRAPHIC, which prefers it
 * @param location where the work is wanted, for GEOGRAPHIC
 * @param agentId this agent and no other
 * @param affinityKey tasks of the same key go to the same agent while it can take them, for CONSISTENT_HASH
 * @param chainId the agent works on this chain: its {@code chain_id}, exactly
 * @param unknown fields that this version does not know, passed on as they came
 */
public record Requirements(
        @JsonProperty("agent_type") @Nullable String agentType,
        @JsonProperty("capabilities") List<String> capabilities,
        @JsonProperty("services") List<String> services,
        @JsonProperty("tags") List<String> tags,
        @JsonProperty("min_health_score") @Nullable Double minHealthScore,
        @JsonProperty("region") @Nullable String region,
        @JsonProperty("location") @Nullable Location location,
        @JsonProperty("agent_id") @Nullable String agentId,
        @JsonProperty("affinity_key") @Nullable String affinityKey,

        @JsonProperty("chain_id") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        String chainId,

        @JsonAnySetter @JsonAnyGetter Map<String, JsonNode> unknown) {

    public static final Requirements NONE =
            new Requirements(null, List.of(), List.of(), List.of(), null, null, null, null, null, null, Map.of());

    public Requirements {
        agentType = Checks.optionalText("requirements.agent_type", agentType);
        capabilities = Checks.texts("requirements.capabilities", capabilities);
        capabilities.forEach(Capability::checkDemand);
        services = Checks.texts("requirements.services", services);
        tags = Checks.texts("requirements.tags", tags);
        if (minHealthScore != null) {
            Checks.range("requirements.min_health_score", minHealthScore, 0, 1);
        }
        region = Checks.optionalText("requirements.region", region);
        if (agentId != null) {
            Ids.check("requirements.agent_id", agentId);
        }
        affinityKey = Checks.optionalText("requirements.affinity_key", affinityKey);
        chainId = Checks.optionalText("requirements.chain_id", chainId);
        if (chainId != null && chainId.isEmpty()) {
            // As existing clients write it for any chain.
            chainId = null;
        }
        unknown = Checks.unknown(unknown);
    }

    /**
     * What of this decides which agents may serve a task: two tasks of equal conditions may be served by the same agents, though one
     * agent may be a better choice for the one and another for the other.
     */
    public Requirements conditions() {
        return location == null && affinityKey == null && unknown.isEmpty()
                ? this
                : new Requirements(
                        agentType,
                        capabilities,
                        services,
                        tags,
                        minHealthScore,
                        region,
                        null,
                        agentId,
                        null,
                        chainId,
                        Map.of());
    }

    /** The same, of an agent that works on a chain. */
    Requirements onChain(String id) {
        return new Requirements(
                agentType,
                capabilities,
                services,
                tags,
                minHealthScore,
                region,
                location,
                agentId,
                affinityKey,
                id,
                unknown);
    }

    public static Requirements capabilities(String... capabilities) {
        return new Requirements(
                null, List.of(capabilities), List.of(), List.of(), null, null, null, null, null, null, Map.of());
    }
}

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
 * Constraints on the agent that runs a task. An absent field imposes none.
 *
 * @param agentType the agent's type, exact match
 * @param capabilities all required; {@code name>=version} demands at least that version of a {@link Capability}
 * @param services all must be offered by the agent
 * @param tags all must be present on the agent
 * @param minHealthScore 0.0 to 1.0
 * @param region the agent's region, exact match, unless the strategy is GEOGRAPHIC, which only prefers it
 * @param location preferred location of the work, for GEOGRAPHIC
 * @param agentId only this agent
 * @param affinityKey tasks with the same key go to the same agent while it has capacity, for CONSISTENT_HASH
 * @param chainId the agent's {@code chain_id}, exact match
 * @param resources what an attempt takes of its agent's, such as {@code gpu: 0.5}. The agent must declare each of them, and have enough left
 * @param unknown fields unknown to this version, passed through unchanged
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

        @JsonProperty("resources") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Resources resources,

        @JsonAnySetter @JsonAnyGetter Map<String, JsonNode> unknown) {

    public static final Requirements NONE = new Requirements(
            null, List.of(), List.of(), List.of(), null, null, null, null, null, null, Resources.NONE, Map.of());

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
            // Existing clients send an empty string for any chain.
            chainId = null;
        }
        resources = resources == null ? Resources.NONE : resources;
        unknown = Checks.unknown(unknown);
    }

    /**
     * The part that determines eligibility. Tasks with equal conditions have the same eligible agents, although the strategy may
     * prefer different agents for each.
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
                        resources,
                        Map.of());
    }

    /** A copy that also requires a chain. */
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
                resources,
                unknown);
    }

    public static Requirements capabilities(String... capabilities) {
        return new Requirements(
                null,
                List.of(capabilities),
                List.of(),
                List.of(),
                null,
                null,
                null,
                null,
                null,
                null,
                Resources.NONE,
                Map.of());
    }

    /** As JSON, without the fields that require nothing: they are most of the text. */
    public JsonNode sparse() {
        JsonNode json = Json.tree(this);
        json.values().removeIf(value -> value.isNull() || value.isArray() && value.isEmpty());
        return json;
    }
}

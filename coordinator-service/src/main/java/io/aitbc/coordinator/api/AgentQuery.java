package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Capability;
import io.aitbc.contracts.Registration;
import io.aitbc.coordinator.agent.Agent;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Filter for agents; absent criteria match any agent.
 *
 * @param capabilities the agent has all of them; likewise services and tags
 * @param minHealthScore 0.0 to 1.0
 * @param limit maximum number of agents, from 1
 */
record AgentQuery(
        @JsonProperty("status") @Nullable AgentStatus status,
        @JsonProperty("agent_type") @Nullable String agentType,
        @JsonProperty("capabilities") List<String> capabilities,
        @JsonProperty("services") List<String> services,
        @JsonProperty("tags") List<String> tags,
        @JsonProperty("min_health_score") @Nullable Double minHealthScore,
        @JsonProperty("chain_id") @Nullable String chainId,
        @JsonProperty("island_id") @Nullable String islandId,
        @JsonProperty("limit") @Nullable Integer limit) {

    AgentQuery {
        capabilities = capabilities == null ? List.of() : capabilities;
        services = services == null ? List.of() : services;
        tags = tags == null ? List.of() : tags;
        capabilities.forEach(Capability::checkDemand);
        if (Stream.concat(services.stream(), tags.stream()).anyMatch(Objects::isNull)) {
            throw new IllegalArgumentException("services and tags must not contain null");
        }
        if (minHealthScore != null && !(minHealthScore >= 0 && minHealthScore <= 1)) {
            throw new IllegalArgumentException("min_health_score must be from 0.0 to 1.0 but was " + minHealthScore);
        }
        if (limit != null && limit < 1) {
            throw new IllegalArgumentException("limit must be at least 1 but was " + limit);
        }
    }

    boolean matches(Agent agent, double healthScore) {
        Registration registration = agent.registration();
        return (status == null || status == agent.status())
                && (agentType == null || agentType.equals(registration.agentType()))
                && Capability.meetsAll(registration.capabilities(), capabilities)
                && registration.services().containsAll(services)
                && registration.tags().containsAll(tags)
                && (minHealthScore == null || healthScore >= minHealthScore)
                && (chainId == null || chainId.equals(registration.chainId()))
                && (islandId == null || islandId.equals(registration.islandId()));
    }
}

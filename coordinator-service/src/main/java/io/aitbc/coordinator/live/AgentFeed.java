package io.aitbc.coordinator.live;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Health;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.coordinator.registry.Registry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * The current state of all agents. Active ones come from this coordinator's agent view, all others from Redis every few seconds. Owned by
 * one thread.
 */
@Component
final class AgentFeed {
    private static final Duration FULL_READ_INTERVAL = Duration.ofSeconds(10);

    private final Registry registry;
    private final AgentView view;
    private final Clock clock;
    private final Map<String, Agent> all = new HashMap<>();
    private Map<String, Row> published = new HashMap<>();
    private Instant nextRead = Instant.EPOCH;

    AgentFeed(Registry registry, AgentView view, Clock clock) {
        this.registry = registry;
        this.view = view;
        this.clock = clock;
    }

    /**
     * Summary of an agent.
     *
     * @param health 0.0 to 1.0, the product of the factors that follow
     * @param cpu CPU utilisation, 0.0 to 1.0; memory likewise
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Row(
            @JsonProperty("agent_id") String id,
            @JsonProperty("agent_type") String type,
            @JsonProperty("version") String version,
            @JsonProperty("status") AgentStatus status,
            @JsonProperty("health") double health,
            @JsonProperty("regularity") double regularity,
            @JsonProperty("load") double load,
            @JsonProperty("results") double results,
            @JsonProperty("inflight") int inflight,
            @JsonProperty("capacity") int capacity,
            @JsonProperty("cpu") double cpu,
            @JsonProperty("memory") double memory,
            @JsonProperty("region") @Nullable String region,
            @JsonProperty("not_reached") @Nullable String notReached,
            @JsonProperty("last_heartbeat") Instant lastHeartbeat) {}

    private record Whole(@JsonProperty("agents") Collection<Row> agents) {}

    private record Change(
            @JsonProperty("changed") List<Row> changed,
            @JsonProperty("gone") Set<String> gone) {}

    void refresh(Channel channel) {
        Instant now = clock.instant();
        // The next read lies too far ahead if the clock was set back.
        if (!now.isBefore(nextRead) || now.plus(FULL_READ_INTERVAL).isBefore(nextRead)) {
            all.clear();
            registry.all().forEach(agent -> all.put(agent.id(), agent));
            nextRead = now.plus(FULL_READ_INTERVAL);
        }
        registry.fetch(agentsToReload()).forEach(agent -> all.put(agent.id(), agent));
        view.active().forEach(agent -> all.put(agent.id(), agent));
        Map<String, Row> rows = all.values().stream().collect(Collectors.toMap(Agent::id, agent -> row(agent, now)));
        List<Row> changed = new ArrayList<>();
        rows.forEach((id, row) -> {
            if (!row.equals(published.get(id))) {
                changed.add(row);
            }
        });
        Set<String> gone = new TreeSet<>(published.keySet());
        gone.removeAll(rows.keySet());
        if (channel.isUnknown() || !changed.isEmpty() || !gone.isEmpty()) {
            channel.publish(Json.tree(new Whole(rows.values())), Json.tree(new Change(changed, gone)), now);
        }
        published = rows;
    }

    /** Agents to read again: those no longer active, and those in a status that the view does not follow although they may be working. */
    private Set<String> agentsToReload() {
        Set<String> active = view.active().stream().map(Agent::id).collect(Collectors.toSet());
        return all.values().stream()
                .filter(agent -> switch (agent.status()) {
                    case ACTIVE -> !active.contains(agent.id());
                    case BUSY, MAINTENANCE -> true;
                    case INACTIVE, STALE, ERROR -> false;
                })
                .map(Agent::id)
                .collect(Collectors.toSet());
    }

    void forget() {
        all.clear();
        published = new HashMap<>();
        nextRead = Instant.EPOCH;
    }

    private Row row(Agent agent, Instant now) {
        Health health = registry.health(agent, now);
        return new Row(
                agent.id(),
                agent.registration().agentType(),
                agent.registration().version(),
                agent.status(),
                rounded(health.score()),
                rounded(health.regularity()),
                rounded(health.load()),
                rounded(health.results()),
                agent.inflight(),
                agent.capacity(),
                rounded(agent.cpu()),
                rounded(agent.memory()),
                agent.registration().region(),
                agent.unreached(),
                agent.lastHeartbeat());
    }

    private static double rounded(double share) {
        return Math.round(share * 100) / 100.0;
    }
}

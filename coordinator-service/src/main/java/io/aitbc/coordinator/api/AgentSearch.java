package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Health;
import io.aitbc.coordinator.agent.Sender;
import io.aitbc.coordinator.registry.Registry;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;
import tools.jackson.databind.node.ObjectNode;

/** Finds agents, and presents them in the format of the REST API. */
@Component
class AgentSearch {
    private static final Duration CONTEST_WINDOW = Duration.ofMinutes(5);

    private final Registry registry;
    private final Topics topics;

    AgentSearch(Registry registry, Topics topics) {
        this.registry = registry;
        this.topics = topics;
    }

    /**
     * Where an agent receives its assignments.
     *
     * @param assignmentsTopic only for delivery {@code kafka}
     * @param claimPath only for delivery {@code pull}
     * @param pushUrl only for delivery {@code push}
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Reach(
            @JsonProperty("delivery") Delivery delivery,
            @JsonProperty("assignments_topic") @Nullable String assignmentsTopic,
            @JsonProperty("claim_path") @Nullable String claimPath,
            @JsonProperty("push_url") @Nullable String pushUrl) {}

    Reach reach(Registration agent) {
        return switch (agent.delivery()) {
            case KAFKA -> new Reach(Delivery.KAFKA, topics.assignments(agent.agentId()), null, null);
            case PULL -> new Reach(Delivery.PULL, null, "/agents/" + agent.agentId() + "/assignments/claim", null);
            case PUSH -> new Reach(Delivery.PUSH, null, null, agent.httpEndpoint() + "/tasks/execute");
        };
    }

    record AgentSummary(Agent agent, Reach reach, Health health, List<String> penalties, boolean contested) {
        String id() {
            return agent.id();
        }

        ObjectNode json() {
            ObjectNode json = (ObjectNode) Json.tree(agent.registration());
            json.set("status", Json.tree(agent.status()));
            json.set("registration_time", Json.tree(agent.registeredAt()));
            json.set("last_heartbeat", Json.tree(agent.lastHeartbeat()));
            json.set("load_metrics", Json.tree(agent.loadMetrics()));
            json.put("health_score", rounded(health.score()));
            json.putObject("health")
                    .put("regularity", rounded(health.regularity()))
                    .put("load", rounded(health.load()))
                    .put("results", rounded(health.results()))
                    .put("status", health.status())
                    .set("costs", Json.tree(penalties));
            json.setAll((ObjectNode) Json.tree(reach));
            if (agent.unreached() != null) {
                json.put("not_reached", agent.unreached());
            }
            json.put("inflight", agent.inflight());
            if (!agent.registration().resources().isEmpty()) {
                json.set("resources_in_use", Json.tree(inUse(agent)));
            }
            if (agent.usesClaims()) {
                json.put("open_slots", agent.openSlots());
            }
            if (agent.status() == AgentStatus.MAINTENANCE) {
                json.put("drained", agent.inflight() == 0);
            }
            if (agent.track().responseMs() > 0) {
                json.put("response_seconds", rounded(agent.track().responseMs() / 1_000));
            }
            addSender(json, agent.sender());
            return json;
        }

        /** By the resources that it declares. */
        private static Map<String, BigDecimal> inUse(Agent agent) {
            Map<String, BigDecimal> amounts = new LinkedHashMap<>();
            agent.registration()
                    .resources()
                    .thousandths()
                    .keySet()
                    .forEach(name -> amounts.put(
                            name, Resources.amount(agent.resourcesInUse().getOrDefault(name, 0L))));
            return amounts;
        }

        private void addSender(ObjectNode json, Sender sender) {
            if (sender.clockAhead() != null) {
                json.put("clock_ahead_seconds", rounded(sender.clockAhead().toMillis() / 1_000.0));
            }
            if (sender.instanceId() != null) {
                json.put("instance_id", sender.instanceId());
            }
            if (contested) {
                json.putObject("contested")
                        .put("detail", "two processes use this id, which must be unique")
                        .put("other_instance_id", sender.rivalId())
                        .set("last_seen", Json.tree(Objects.requireNonNull(sender.rivalSeenAt())));
            }
        }

        private static double rounded(double score) {
            return Math.round(score * 1_000) / 1_000.0;
        }
    }

    AgentSummary summarize(Agent agent, Instant now) {
        return new AgentSummary(
                agent,
                reach(agent.registration()),
                registry.health(agent, now),
                Health.penalties(agent, now, registry.healthPolicy()),
                agent.sender().isContested(now, CONTEST_WINDOW));
    }

    /** The agents that match a query. */
    Stream<AgentSummary> select(AgentQuery wanted, Instant now, Comparator<AgentSummary> order) {
        return registry.all().stream()
                .map(agent -> summarize(agent, now))
                .filter(seen -> wanted.matches(seen.agent(), seen.health().score()))
                .sorted(order);
    }
}

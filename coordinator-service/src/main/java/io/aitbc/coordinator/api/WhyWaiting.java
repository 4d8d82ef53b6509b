package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Obstacle;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.DispatchSettings;
import io.aitbc.coordinator.intake.QueueSizes;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.registry.Registry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Tells why a task has no agent: what rules each agent out, which come closest, and what else holds it back. */
@Component
class WhyWaiting {
    private static final int CLOSEST_SHOWN = 5;

    private final Registry registry;
    private final QueueSizes sizes;
    private final ClusterControl control;
    private final DispatchSettings settings;
    private final Clock clock;

    WhyWaiting(Registry registry, QueueSizes sizes, ClusterControl control, DispatchSettings settings, Clock clock) {
        this.registry = registry;
        this.sizes = sizes;
        this.control = control;
        this.settings = settings;
        this.clock = clock;
    }

    record Reason(
            @JsonProperty("reason") String reason,
            @JsonProperty("detail") String detail) {}

    record Closest(
            @JsonProperty("agent_id") String agentId,
            @JsonProperty("obstacles") List<Reason> obstacles) {}

    /**
     * @param ruledOut by reason, how many agents it rules out; an agent may be ruled out by several
     */
    record Agents(
            @JsonProperty("total") int total,
            @JsonProperty("eligible") long eligible,
            @JsonProperty("ruled_out") Map<String, Long> ruledOut,
            @JsonProperty("closest") List<Closest> closest) {}

    /**
     * @param effectivePriority to which its waiting has raised it
     * @param placeInQueue 1 when none that was accepted before it waits in the same queue
     */
    record Waiting(
            @JsonProperty("priority") Priority priority,
            @JsonProperty("effective_priority") Priority effectivePriority,
            @JsonProperty("waiting_seconds") double waitingSeconds,
            @JsonProperty("place_in_queue") long placeInQueue,
            @JsonProperty("queue_size") long queueSize,
            @JsonProperty("queue_paused") boolean queuePaused,

            @JsonProperty("not_before") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Instant notBefore,

            @JsonProperty("requirements") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Requirements requirements,

            @JsonProperty("agents") Agents agents) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Explanation(
            @JsonProperty("status") String status,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("task_status") String taskStatus,
            @JsonProperty("explanation") String explanation,
            @JsonProperty("waiting") @Nullable Waiting waiting,
            @JsonProperty("timestamp") Instant timestamp) {}

    /** @param state the task's hash */
    Explanation explain(String taskId, Map<String, String> state) throws InterruptedException {
        Instant now = clock.instant();
        String status = state.get("status");
        Waiting waiting = status.equals("queued") && state.keySet().containsAll(Set.of("submitted_at", "priority"))
                ? waiting(state, now)
                : null;
        String sentence = switch (status) {
            case "queued" ->
                waiting == null ? "it waits; what it waits for is not known any more" : sentence(waiting, now);
            case "assigned" ->
                "agent " + state.get("agent_id") + " has had it since " + state.get("assigned_at")
                        + " and may take until " + state.get("deadline");
            default -> "it has ended as " + status;
        };
        return new Explanation("success", taskId, status, sentence, waiting, now);
    }

    private Waiting waiting(Map<String, String> state, Instant now) throws InterruptedException {
        Priority priority = Priority.parse(state.get("priority"));
        Instant since = Instant.parse(state.get("submitted_at"));
        Requirements requirements = state.containsKey("requirements")
                ? Json.read(state.get("requirements"), Requirements.class)
                : Requirements.NONE;
        int level = WaitingTask.effectiveLevel(priority, since, now, settings.agingInterval());
        return new Waiting(
                priority,
                Priority.values()[level],
                Duration.between(since, now).toMillis() / 1_000.0,
                sizes.before(priority, since) + 1,
                sizes.read().get(priority),
                control.pausedQueues().contains(priority),
                state.containsKey("not_before") ? Instant.parse(state.get("not_before")) : null,
                requirements.equals(Requirements.NONE) ? null : requirements,
                agents(requirements, now));
    }

    private Agents agents(Requirements requirements, Instant now) {
        boolean regionBinds = !control.strategy().prefersRegion();
        Map<String, List<Obstacle>> obstacles = registry.all().stream()
                .collect(Collectors.toMap(
                        Agent::id,
                        agent -> Obstacle.between(agent, requirements, now, registry.healthPolicy(), regionBinds)));
        Map<String, Long> ruledOut = obstacles.values().stream()
                .flatMap(ofAgent -> ofAgent.stream()
                        .map(obstacle -> obstacle.kind().wireName())
                        .distinct())
                .collect(Collectors.groupingBy(kind -> kind, TreeMap::new, Collectors.counting()));
        List<Closest> closest = obstacles.entrySet().stream()
                .filter(entry -> !entry.getValue().isEmpty())
                .sorted(Comparator.<Map.Entry<String, List<Obstacle>>>comparingInt(
                                entry -> entry.getValue().size())
                        .thenComparing(entry -> entry.getValue().get(0).kind(), Comparator.reverseOrder())
                        .thenComparing(Map.Entry::getKey))
                .limit(CLOSEST_SHOWN)
                .map(entry -> new Closest(
                        entry.getKey(),
                        entry.getValue().stream()
                                .map(obstacle -> new Reason(obstacle.kind().wireName(), obstacle.detail()))
                                .toList()))
                .toList();
        long eligible = obstacles.values().stream().filter(List::isEmpty).count();
        return new Agents(obstacles.size(), eligible, ruledOut, closest);
    }

    private static String sentence(Waiting waiting, Instant now) {
        Agents agents = waiting.agents();
        if (waiting.queuePaused()) {
            return "the " + waiting.priority().wireName() + " queue is paused";
        }
        if (waiting.notBefore() != null && waiting.notBefore().isAfter(now)) {
            return "it is not to start before " + waiting.notBefore();
        }
        if (agents.total() == 0) {
            return "no agent has registered";
        }
        if (agents.eligible() > 0) {
            return agents.eligible() + " of " + agents.total()
                    + " agents can take it: it is about to be assigned, or more urgent tasks go first";
        }
        Closest closest = agents.closest().get(0);
        return "none of " + agents.total() + " agents can take it; the closest is " + closest.agentId() + ": "
                + closest.obstacles().stream().map(Reason::detail).collect(Collectors.joining(", "));
    }
}

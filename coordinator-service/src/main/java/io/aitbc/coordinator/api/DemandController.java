package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Capability;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.stats.FleetDemand;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;

/** A signal for autoscalers. */
@RestController
@RequestMapping({"/demand", "/v1/demand"})
@Tag(name = "cluster")
class DemandController {
    private static final Set<String> PARAMETERS = Set.of("capability", "agent_type");

    private final FleetDemand demand;
    private final WaitExplainer explainer;
    private final Clock clock;

    DemandController(FleetDemand demand, WaitExplainer explainer, Clock clock) {
        this.demand = demand;
        this.explainer = explainer;
        this.clock = clock;
    }

    /**
     * Agents that offer the same.
     *
     * @param agents number of active agents
     * @param capacity of the active agents
     * @param running assignments that they hold, and those that are drained as well
     * @param waiting tasks that wait for such an agent; those that several fleets could take are split by capacity
     * @param agentsWanted how many such agents would hold what runs and what waits
     */
    record Fleet(
            @JsonProperty("agent_type") String agentType,
            @JsonProperty("capabilities") List<String> capabilities,
            @JsonProperty("agents") int agents,
            @JsonProperty("capacity") int capacity,
            @JsonProperty("running") int running,
            @JsonProperty("waiting") int waiting,
            @JsonProperty("agents_wanted") int agentsWanted) {
        static Fleet of(FleetDemand.Fleet fleet) {
            return new Fleet(
                    fleet.agentType(),
                    fleet.capabilities(),
                    fleet.agents(),
                    fleet.capacity(),
                    fleet.running(),
                    fleet.waiting(),
                    fleet.agentsWanted());
        }
    }

    /** Waiting tasks that no active agent could take. */
    record Unserved(
            @JsonProperty("requirements") JsonNode requirements,
            @JsonProperty("waiting") int waiting,
            @JsonProperty("explanation") String explanation) {}

    /**
     * @param agentsWanted sum over the fleets, and one if there are tasks that no active agent could take
     */
    record Demand(
            @JsonProperty("status") String status,
            @JsonProperty("agents") int agents,
            @JsonProperty("running") int running,
            @JsonProperty("waiting") int waiting,
            @JsonProperty("agents_wanted") int agentsWanted,
            @JsonProperty("fleets") List<Fleet> fleets,
            @JsonProperty("unserved") List<Unserved> unserved,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(
            summary = "Get how many agents of which kind would let everything run that waits for agents",
            description =
                    "For autoscalers: `agents_wanted` counts what runs as well, so that a busy fleet is not scaled to zero. What waits is"
                            + " due, in a queue that is not paused, and lacks a free agent: the 100 largest groups of each coordinator, as of the last second.")
    Demand demand(
            @Parameter(
                            description =
                                    "Only agents that have this capability, such as gpu or memory>=64, and tasks that require it")
                    @RequestParam(name = "capability", required = false)
                    @Nullable
                    String capability,
            @Parameter(description = "Only agents of this type, and tasks for them")
                    @RequestParam(name = "agent_type", required = false)
                    @Nullable
                    String agentType,
            HttpServletRequest request) {
        request.getParameterMap().keySet().stream()
                .filter(name -> !PARAMETERS.contains(name))
                .findFirst()
                .ifPresent(name -> {
                    throw Problems.unprocessable("unknown parameter " + Json.sentence(name));
                });
        FleetDemand.Demand read = demand.read();
        List<Unserved> unserved = read.unserved().stream()
                .filter(group -> mayBeFor(group.requirements(), capability, agentType))
                .map(group -> new Unserved(
                        group.requirements().sparse(),
                        group.tasks(),
                        explainer.explain(group.requirements()).explanation()))
                .toList();
        List<Fleet> asked = new ArrayList<>();
        for (FleetDemand.Fleet fleet : read.fleets()) {
            if ((capability == null || Capability.meets(fleet.capabilities(), capability))
                    && (agentType == null || agentType.equals(fleet.agentType()))) {
                asked.add(Fleet.of(fleet));
            }
        }
        asked.sort(Comparator.comparingInt(Fleet::waiting).reversed().thenComparing(Fleet::agentType));
        int unservedTasks = unserved.stream().mapToInt(Unserved::waiting).sum();
        return new Demand(
                "success",
                asked.stream().mapToInt(Fleet::agents).sum(),
                asked.stream().mapToInt(Fleet::running).sum(),
                asked.stream().mapToInt(Fleet::waiting).sum() + unservedTasks,
                asked.stream().mapToInt(Fleet::agentsWanted).sum() + (unservedTasks > 0 ? 1 : 0),
                asked,
                unserved,
                clock.instant());
    }

    /** Whether an agent of this kind might take such tasks: other properties of an agent that is not there are unknown. */
    private static boolean mayBeFor(
            Requirements requirements, @Nullable String capability, @Nullable String agentType) {
        return (capability == null
                        || requirements.capabilities().stream()
                                .anyMatch(one -> name(one).equals(name(capability))))
                && (agentType == null
                        || requirements.agentType() == null
                        || agentType.equals(requirements.agentType()));
    }

    /** A capability without the quantity that is required. */
    private static String name(String capability) {
        int end = capability.indexOf(">=");
        return end < 0 ? capability : capability.substring(0, end);
    }
}

package io.aitbc.coordinator.stats;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Eligibility;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.match.BlockedGroup;
import io.aitbc.coordinator.registry.Registry;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.springframework.stereotype.Component;

/**
 * How many agents of which kind would let everything run that waits for agents: a signal for autoscalers. What runs counts as well; a backlog alone
 * would scale a busy fleet down to zero.
 */
@Component
public final class FleetDemand {
    private final Registry registry;
    private final ClusterControl control;
    private final ClusterStats stats;

    FleetDemand(Registry registry, ClusterControl control, ClusterStats stats) {
        this.registry = registry;
        this.control = control;
        this.stats = stats;
    }

    /**
     * Agents that offer the same.
     *
     * @param agents number of active agents
     * @param capacity of the active agents
     * @param running assignments that they hold, and those that are drained as well
     * @param waiting tasks that wait for such an agent; those that several fleets could take are split by capacity
     * @param agentsWanted how many such agents would hold what runs and what waits, by capacity and by each of their resources
     */
    public record Fleet(
            String agentType,
            List<String> capabilities,
            int agents,
            int capacity,
            int running,
            int waiting,
            int agentsWanted) {}

    /**
     * @param fleets in alphabetical order
     * @param unserved waiting tasks that no active agent could take
     */
    public record Demand(List<Fleet> fleets, List<BlockedGroup> unserved) {}

    private record Kind(String agentType, List<String> capabilities) {}

    /** A fleet while it is counted. */
    private static final class Counted {
        final List<Agent> active = new ArrayList<>();
        int running;
        double waiting;
        /** What running and waiting tasks take, in thousandths by resource. */
        final Map<String, Double> taken = new HashMap<>();

        int capacity() {
            return active.stream().mapToInt(Agent::capacity).sum();
        }

        void runs(Agent agent) {
            running += agent.inflight();
            agent.resourcesInUse().forEach((name, amount) -> taken.merge(name, (double) amount, Double::sum));
        }

        /** Adds tasks that wait. What is left of an agent that holds as many of them as it can is of no use. */
        void waits(double tasks, Resources each) {
            waiting += tasks;
            each.thousandths().forEach((name, amount) -> {
                double fit = Math.max(1, Math.floor(declared(name) / amount));
                taken.merge(name, tasks * Math.max(amount, declared(name) / fit), Double::sum);
            });
        }

        /** Counts what is left of agents, but too little for any task that waits, as taken. */
        void addRemains(List<Resources> waiting) {
            for (Agent agent : active) {
                for (String name :
                        agent.registration().resources().thousandths().keySet()) {
                    List<Long> amounts = waiting.stream()
                            .map(each -> each.thousandths().getOrDefault(name, 0L))
                            .filter(amount -> amount > 0)
                            .toList();
                    if (!amounts.isEmpty() && amounts.stream().allMatch(amount -> amount > agent.left(name))) {
                        taken.merge(name, (double) Math.max(0, agent.left(name)), Double::sum);
                    }
                }
            }
        }

        /** What an agent has of a resource, on average. */
        private double declared(String resource) {
            return active.stream()
                    .mapToLong(agent ->
                            agent.registration().resources().thousandths().getOrDefault(resource, 0L))
                    .average()
                    .orElse(0);
        }

        Fleet fleet(Kind kind) {
            int waits = (int) Math.ceil(waiting);
            double each = active.isEmpty() ? 1 : Math.max(1, capacity() / (double) active.size());
            double agents = (running + waits) / each;
            for (Map.Entry<String, Double> one : taken.entrySet()) {
                double declared = declared(one.getKey());
                agents = declared == 0 ? agents : Math.max(agents, one.getValue() / declared);
            }
            return new Fleet(kind.agentType, kind.capabilities, active.size(), capacity(), running, waits, (int)
                    Math.ceil(agents));
        }
    }

    /** The demand as of the last second. Reads all agents. */
    public Demand read() {
        Map<Kind, Counted> fleets = fleets();
        List<BlockedGroup> unserved = new ArrayList<>();
        Map<Counted, List<Resources>> waiting = new IdentityHashMap<>();
        for (BlockedGroup group : stats.blocked()) {
            List<Counted> able = fleets.values().stream()
                    .filter(fleet -> fleet.active.stream().anyMatch(agent -> couldTake(agent, group.requirements())))
                    .toList();
            double capacity = able.stream().mapToInt(Counted::capacity).sum();
            for (Counted fleet : able) {
                Resources each = group.requirements().resources();
                fleet.waits(group.tasks() * fleet.capacity() / capacity, each);
                waiting.computeIfAbsent(fleet, unknown -> new ArrayList<>()).add(each);
            }
            if (able.isEmpty()) {
                unserved.add(group);
            }
        }
        waiting.forEach(Counted::addRemains);
        List<Fleet> counted = new ArrayList<>();
        fleets.forEach((kind, fleet) -> counted.add(fleet.fleet(kind)));
        return new Demand(counted, unserved);
    }

    private Map<Kind, Counted> fleets() {
        Map<Kind, Counted> fleets = new TreeMap<>(
                Comparator.comparing(Kind::agentType).thenComparing(kind -> String.join("\n", kind.capabilities)));
        for (Agent agent : registry.all()) {
            boolean isActive = agent.status() == AgentStatus.ACTIVE;
            if (isActive || agent.inflight() > 0) {
                Counted fleet = fleets.computeIfAbsent(
                        new Kind(
                                agent.registration().agentType(),
                                agent.registration().capabilities().stream()
                                        .sorted()
                                        .toList()),
                        unknown -> new Counted());
                fleet.runs(agent);
                if (isActive) {
                    fleet.active.add(agent);
                }
            }
        }
        return fleets;
    }

    private boolean couldTake(Agent agent, Requirements requirements) {
        return Eligibility.meetsRequirements(
                agent.registration(), requirements, !control.strategy().prefersRegion());
    }
}

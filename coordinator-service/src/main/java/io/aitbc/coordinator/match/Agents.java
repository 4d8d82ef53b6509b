package io.aitbc.coordinator.match;

import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Eligibility;
import io.aitbc.coordinator.agent.Health;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.limit.AgentResource;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** The agents known to a matcher, whatever their state: which groups of tasks they suit, and how healthy they are. */
public final class Agents {
    /** Re-evaluation interval while an agent's health changes with time. */
    private static final Duration REEVALUATION_INTERVAL = Duration.ofSeconds(1);

    private final HealthPolicy health;
    private final Pools pools;
    private final Map<String, Member> members = new HashMap<>();
    /** Scheduled re-evaluations of agents whose health changes with time alone. */
    private final PriorityQueue<Reevaluation> reevaluations =
            new PriorityQueue<>(Comparator.comparing(Reevaluation::at));

    /** Whether one of them has ever declared resources. */
    private boolean haveResources;

    private LoadBalancingStrategy strategy;

    private record Reevaluation(Instant at, Member member) {}

    Agents(HealthPolicy health, Aging aging, LoadBalancingStrategy strategy, RandomGenerator random) {
        this.health = health;
        this.strategy = strategy;
        this.pools =
                new Pools(this::suits, () -> this.strategy.select(random), () -> new AgedShare(aging.share(), random));
    }

    LoadBalancingStrategy strategy() {
        return strategy;
    }

    void switchStrategy(LoadBalancingStrategy strategy, Collection<TaskGroup> groups) {
        this.strategy = strategy;
        pools.clear();
        groups.forEach(this::findPool);
    }

    boolean haveResources() {
        return haveResources;
    }

    /** The number of known agents. */
    public int count() {
        return members.size();
    }

    /** Null if it is unknown. */
    @Nullable
    Member get(String agentId) {
        return members.get(agentId);
    }

    /** The agent of a candidate. */
    Member of(Candidate candidate) {
        return Objects.requireNonNull(members.get(candidate.id()));
    }

    Collection<Member> all() {
        return members.values();
    }

    /** Adds an agent, or updates a changed one. */
    public void addOrUpdate(Agent agent, Instant now) {
        haveResources |= !agent.registration().resources().isEmpty();
        Member member = members.get(agent.id());
        if (member == null) {
            member = new Member(new Candidate(agent));
            members.put(agent.id(), member);
            pools.join(member);
        } else {
            Agent before = member.candidate.agent();
            member.candidate.update(agent);
            rejoinPoolsIfRegistrationChanged(member, before);
        }
        evaluate(member, now);
    }

    /** Updates an agent after a heartbeat, except its count of assignments; adds it if unknown. */
    public void updateState(Agent agent, Instant now) {
        Member member = members.get(agent.id());
        if (member == null) {
            addOrUpdate(agent, now);
        } else {
            Agent before = member.candidate.agent();
            haveResources |= !agent.registration().resources().isEmpty();
            member.candidate.updateState(agent);
            rejoinPoolsIfRegistrationChanged(member, before);
            evaluate(member, now);
        }
    }

    public void remove(String agentId) {
        Member member = members.remove(agentId);
        if (member != null) {
            pools.leave(member);
        }
    }

    /** Applies a new count of the assignments an agent holds. */
    public void updateHeldCount(String agentId, int count) {
        Member member = members.get(agentId);
        if (member != null) {
            member.candidate.updateHeldCount(count);
            member.reorder();
        }
    }

    /** Applies what assignments take of an agent's resource, in thousandths. */
    void updateResourceInUse(AgentResource one, long amount) {
        Member member = members.get(one.agentId());
        if (member != null) {
            member.candidate.updateResourceInUse(one.resource(), amount);
            member.reorder();
        }
    }

    /** Applies a new count of the assignments that the agent's open claims request. */
    public void updateOpenSlots(String agentId, int slots) {
        Member member = members.get(agentId);
        if (member != null) {
            member.candidate.updateOpenSlots(slots);
            member.reorder();
        }
    }

    /** Re-evaluates the agents whose health may have changed with time alone. */
    public void reevaluateDue(Instant now) {
        while (!reevaluations.isEmpty() && !reevaluations.peek().at().isAfter(now)) {
            Reevaluation reevaluation = reevaluations.poll();
            Member member = reevaluation.member();
            if (member.nextEvaluation.equals(reevaluation.at()) && members.get(member.candidate.id()) == member) {
                member.nextEvaluation = Instant.MAX;
                evaluate(member, now);
            }
        }
    }

    private void evaluate(Member member, Instant now) {
        Agent agent = member.candidate.agent();
        member.score = Eligibility.isAvailable(agent, health)
                ? Health.of(agent, now, health).score()
                : -1;
        member.reorder();
        Instant stableUntil = Health.stableUntil(agent, now, health);
        Instant at = stableUntil.isAfter(now) ? stableUntil : now.plus(REEVALUATION_INTERVAL);
        if (at.isBefore(member.nextEvaluation)) {
            member.nextEvaluation = at;
            reevaluations.add(new Reevaluation(at, member));
        }
    }

    private void rejoinPoolsIfRegistrationChanged(Member member, Agent before) {
        Registration is = member.candidate.agent().registration();
        if (is != before.registration() && !is.equals(before.registration())) {
            pools.leave(member);
            pools.join(member);
        }
    }

    /** Opens a group of tasks with the same requirements. */
    TaskGroup open(Requirements requirements, FairShares shares) {
        TaskGroup group = new TaskGroup(requirements, shares);
        findPool(group);
        return group;
    }

    /** Closes a group that has no more tasks. */
    void close(TaskGroup group) {
        pools.leave(group);
    }

    private void findPool(TaskGroup group) {
        Set<Member> suited = new LinkedHashSet<>();
        String onlyAgent = group.requirements.agentId();
        Collection<Member> asked = onlyAgent == null
                ? members.values()
                : members.containsKey(onlyAgent) ? List.of(members.get(onlyAgent)) : List.of();
        for (Member member : asked) {
            if (suits(member, group)) {
                suited.add(member);
            }
        }
        pools.join(group, Eligibility.minHealth(group.requirements, health), suited);
    }

    private boolean suits(Member member, TaskGroup group) {
        return suits(member, group.requirements);
    }

    /** Whether an agent has the static properties required. */
    private boolean suits(Member member, Requirements requirements) {
        return Eligibility.meetsRequirements(
                member.candidate.agent().registration(), requirements, !strategy.prefersRegion());
    }

    /** Whether an agent could take a task with these requirements, if it had room. */
    boolean couldTake(Member member, Requirements requirements) {
        return suits(member, requirements) && member.score >= Eligibility.minHealth(requirements, health);
    }
}

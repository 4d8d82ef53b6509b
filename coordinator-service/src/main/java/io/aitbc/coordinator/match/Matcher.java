package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Eligibility;
import io.aitbc.coordinator.agent.Health;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.balance.Selection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
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
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Places waiting tasks on agents: always the eligible task of the highest effective priority next, on the agent that the strategy
 * chooses. A group of tasks that no agent can take costs nothing until an agent changes that could.
 */
public final class Matcher {
    /** While an agent's health moves with time. */
    private static final Duration LOOK_AGAIN_AFTER = Duration.ofSeconds(1);

    private final HealthPolicy health;
    private final Duration agingInterval;
    private final RandomGenerator random;
    private final Pools pools = new Pools(this::suits, this::newSelection);
    private final Backlog backlog = new Backlog(this::open, pools::leave);
    private final Map<String, Member> members = new HashMap<>();
    /** When agents are to be looked at again because time alone can change them. */
    private final PriorityQueue<Look> looks = new PriorityQueue<>(Comparator.comparing(Look::at));

    private LoadBalancingStrategy strategy;
    private Set<Priority> paused = Set.of();
    private List<Want> wantsElsewhere = List.of();
    /** The time of the newest call, for what is opened in between. */
    private Instant now = Instant.EPOCH;

    private record Look(Instant at, Member member) {}

    /** @param agingInterval how long a task waits to rise by one priority; zero: it never rises */
    public Matcher(
            HealthPolicy health, Duration agingInterval, LoadBalancingStrategy strategy, RandomGenerator random) {
        this.health = health;
        this.agingInterval = agingInterval;
        this.strategy = strategy;
        this.random = random;
    }

    public Backlog backlog() {
        return backlog;
    }

    public LoadBalancingStrategy strategy() {
        return strategy;
    }

    /** How many agents are known, whatever their state. */
    public int agentCount() {
        return members.size();
    }

    /** Places at most {@code limit} tasks. Each placement counts on its agent until {@link #answered}. */
    public List<Placement> match(Instant now, int limit) {
        this.now = now;
        backlog.admitDue(now);
        PriorityQueue<TaskGroup.Turn> turns = new PriorityQueue<>();
        backlog.groups().forEach(group -> addTurn(group, turns));
        List<Placement> placements = new ArrayList<>();
        while (placements.size() < limit && !turns.isEmpty()) {
            TaskGroup.Turn turn = turns.poll();
            Candidate chosen = choose(turn);
            if (chosen == null) {
                continue;
            }
            backlog.take(turn);
            turn.group().pool.open.chosen(chosen);
            chosen.placed();
            reorder(members.get(chosen.id()));
            placements.add(new Placement(turn.head(), chosen.id()));
            addTurn(turn.group(), turns);
        }
        return placements;
    }

    private void addTurn(TaskGroup group, PriorityQueue<TaskGroup.Turn> turns) {
        TaskGroup.Turn turn = group.isReady(now) ? group.turn(now, agingInterval, paused) : null;
        if (turn != null) {
            turns.add(turn);
        }
    }

    /** The agent that the strategy wants next, but for those that are left to others. */
    private @Nullable Candidate choose(TaskGroup.Turn turn) {
        Selection open = turn.group().pool.open;
        Task task = turn.head().task();
        List<Candidate> passedOver = new ArrayList<>(0);
        Candidate rejecter = null;
        Candidate chosen = open.next(task);
        while (chosen != null) {
            // Not straight back to the agent that rejected it, if there is another.
            if (chosen.id().equals(task.rejectedBy())) {
                rejecter = chosen;
            } else if (!isWantedMore(chosen, turn.level())) {
                break;
            }
            passedOver.add(chosen);
            open.remove(chosen);
            chosen = open.next(task);
        }
        passedOver.forEach(open::put);
        return chosen == null && rejecter != null && !isWantedMore(rejecter, turn.level()) ? rejecter : chosen;
    }

    private boolean isWantedMore(Candidate candidate, int level) {
        for (Want want : wantsElsewhere) {
            if (want.level() < level
                    && Eligibility.suits(
                            candidate.agent().registration(), want.requirements(), !strategy.prefersRegion())
                    && isFit(members.get(candidate.id()), want.requirements())) {
                return true;
            }
        }
        return false;
    }

    /** What waits in other lanes for agents that are full: as soon as they are not, they are left to tasks of higher priority. */
    public void leaveTo(List<Want> elsewhere) {
        wantsElsewhere = List.copyOf(elsewhere);
    }

    /** What waits here for agents that are full, the most urgent first; at most {@code limit}. */
    public List<Want> wants(Instant now, int limit) {
        Set<TaskGroup> blocked = backlog.groups().stream()
                .filter(group -> !group.isEmpty() && group.pool.open.isEmpty())
                .collect(Collectors.toCollection(LinkedHashSet::new));
        if (blocked.isEmpty()) {
            return List.of();
        }
        Set<TaskGroup> wanting = new LinkedHashSet<>();
        for (Member member : members.values()) {
            if (!member.candidate.hasRoom()) {
                for (Pool pool : member.pools) {
                    for (TaskGroup group : pool.groups) {
                        if (blocked.contains(group)) {
                            wanting.add(group);
                        }
                    }
                }
            }
        }
        return wanting.stream()
                .map(group -> group.turn(now, agingInterval, paused))
                .filter(Objects::nonNull)
                .map(turn -> new Want(turn.group().requirements, turn.level()))
                .sorted(Comparator.comparingInt(Want::level))
                .limit(limit)
                .toList();
    }

    /** Tasks of these queues are not placed. */
    public void pause(Set<Priority> queues) {
        paused = Set.copyOf(queues);
    }

    /** The registry judged a placement, and counted what its agent holds now. */
    public void answered(Placement placement, int held) {
        Member member = members.get(placement.agentId());
        if (member != null) {
            int before = member.candidate.held();
            member.candidate.answered();
            member.candidate.counted(held);
            // Nearly always the placement counts from now on where it was expected to.
            if (member.candidate.held() != before) {
                reorder(member);
            }
        }
    }

    /** The registry could not be asked about a placement. */
    public void unanswered(Placement placement) {
        Member member = members.get(placement.agentId());
        if (member != null) {
            member.candidate.answered();
            reorder(member);
        }
    }

    /** No placement will be answered any more: what an agent holds is what the registry counted last. */
    public void forgetPlacements() {
        for (Member member : members.values()) {
            member.candidate.forgetPlacements();
            reorder(member);
        }
    }

    /** An agent is new, or something about it changed. */
    public void agentChanged(Agent agent, Instant now) {
        this.now = now;
        Member member = members.get(agent.id());
        if (member == null) {
            member = new Member(new Candidate(agent));
            members.put(agent.id(), member);
            pools.join(member);
        } else {
            Agent before = member.candidate.agent();
            member.candidate.update(agent);
            kindMayHaveChanged(member, before);
        }
        lookAt(member);
    }

    /** An agent was heard of: as it is now, but for the count of what it holds, unless it was unknown here. */
    public void agentHeard(Agent agent, Instant now) {
        this.now = now;
        Member member = members.get(agent.id());
        if (member == null) {
            agentChanged(agent, now);
        } else {
            Agent before = member.candidate.agent();
            member.candidate.note(agent);
            kindMayHaveChanged(member, before);
            lookAt(member);
        }
    }

    public void agentGone(String agentId) {
        Member member = members.remove(agentId);
        if (member != null) {
            pools.leave(member);
        }
    }

    /** What an agent holds was counted anew. */
    public void agentHolds(String agentId, int count) {
        Member member = members.get(agentId);
        if (member != null) {
            member.candidate.counted(count);
            reorder(member);
        }
    }

    /** Looks again at the agents that time alone may have changed. */
    public void timePassed(Instant now) {
        this.now = now;
        while (!looks.isEmpty() && !looks.peek().at().isAfter(now)) {
            Look look = looks.poll();
            Member member = look.member();
            if (member.nextLook.equals(look.at()) && members.get(member.candidate.id()) == member) {
                member.nextLook = Instant.MAX;
                lookAt(member);
            }
        }
    }

    private void lookAt(Member member) {
        Agent agent = member.candidate.agent();
        member.score =
                Eligibility.ready(agent, health) ? Health.of(agent, now, health).score() : -1;
        reorder(member);
        Instant steadyUntil = Health.steadyUntil(agent, now, health);
        Instant at = steadyUntil.isAfter(now) ? steadyUntil : now.plus(LOOK_AGAIN_AFTER);
        if (at.isBefore(member.nextLook)) {
            member.nextLook = at;
            looks.add(new Look(at, member));
        }
    }

    private boolean isFit(Member member, Requirements requirements) {
        return member.score >= Eligibility.minHealth(requirements, health);
    }

    public void switchStrategy(LoadBalancingStrategy strategy) {
        this.strategy = strategy;
        pools.clear();
        backlog.groups().forEach(this::findPool);
    }

    private TaskGroup open(Requirements requirements) {
        TaskGroup group = new TaskGroup(requirements);
        findPool(group);
        return group;
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
        return Eligibility.suits(
                member.candidate.agent().registration(), group.requirements, !strategy.prefersRegion());
    }

    private Selection newSelection() {
        return strategy.select(random);
    }

    private void kindMayHaveChanged(Member member, Agent before) {
        Registration is = member.candidate.agent().registration();
        if (is != before.registration() && !is.equals(before.registration())) {
            pools.leave(member);
            pools.join(member);
        }
    }

    private static void reorder(Member member) {
        for (Pool pool : member.pools) {
            pool.place(member);
        }
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Eligibility;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.balance.Selection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
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

/**
 * Places waiting tasks on agents: always the eligible task of the highest effective priority next, on the agent that the strategy
 * chooses. A group of tasks that no agent can take costs nothing until an agent changes that could.
 */
public final class Matcher {
    private final HealthPolicy health;
    private final Duration agingInterval;
    private final RandomGenerator random;
    private final Backlog backlog = new Backlog(this::open, this::forget);
    private final Map<String, Member> members = new HashMap<>();
    private LoadBalancingStrategy strategy;
    private Set<Priority> paused = Set.of();
    private List<Want> wantsElsewhere = List.of();
    /** The time of the newest call, for what is opened in between. */
    private Instant now = Instant.EPOCH;

    /** An agent and the groups whose requirements it suits, whatever state it is in. */
    private static final class Member {
        final Candidate candidate;
        final Set<TaskGroup> suited = new LinkedHashSet<>();

        Member(Candidate candidate) {
            this.candidate = candidate;
        }
    }

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
            chosen.placed();
            reorder(members.get(chosen.id()));
            placements.add(new Placement(turn.head(), chosen.id()));
            addTurn(turn.group(), turns);
        }
        return placements;
    }

    private void addTurn(TaskGroup group, PriorityQueue<TaskGroup.Turn> turns) {
        TaskGroup.Turn turn = group.isReady() ? group.turn(now, agingInterval, paused) : null;
        if (turn != null) {
            turns.add(turn);
        }
    }

    /** The agent that the strategy wants next, but for those that are left to others. */
    private @Nullable Candidate choose(TaskGroup.Turn turn) {
        Selection open = turn.group().open;
        List<Candidate> passedOver = new ArrayList<>(0);
        Candidate rejecter = null;
        Candidate chosen = open.next();
        while (chosen != null) {
            // Not straight back to the agent that rejected it, if there is another.
            if (chosen.id().equals(turn.head().task().rejectedBy())) {
                rejecter = chosen;
            } else if (!isWantedMore(chosen, turn.level())) {
                break;
            }
            passedOver.add(chosen);
            open.remove(chosen);
            chosen = open.next();
        }
        passedOver.forEach(open::put);
        return chosen == null && rejecter != null && !isWantedMore(rejecter, turn.level()) ? rejecter : chosen;
    }

    private boolean isWantedMore(Candidate candidate, int level) {
        for (Want want : wantsElsewhere) {
            if (want.level() < level
                    && Eligibility.suits(
                            candidate.agent().registration(), want.requirements(), !strategy.prefersRegion())
                    && Eligibility.fit(candidate.agent(), want.requirements(), now, health)) {
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
        Set<TaskGroup> groups = new LinkedHashSet<>();
        for (Member member : members.values()) {
            if (!member.candidate.hasRoom()) {
                for (TaskGroup group : member.suited) {
                    if (group.open.isEmpty()) {
                        groups.add(group);
                    }
                }
            }
        }
        return groups.stream()
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
            member.candidate.answered();
            member.candidate.counted(held);
            reorder(member);
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

    /** An agent is new, or something about it changed. */
    public void agentChanged(Agent agent, Instant now) {
        this.now = now;
        Member member = members.get(agent.id());
        if (member == null) {
            member = new Member(new Candidate(agent));
            members.put(agent.id(), member);
            findSuited(member);
        } else {
            boolean anotherKind = !member.candidate.agent().registration().equals(agent.registration());
            member.candidate.update(agent);
            if (anotherKind) {
                leaveAll(member);
                findSuited(member);
            }
        }
        reorder(member);
    }

    public void agentGone(String agentId) {
        Member member = members.remove(agentId);
        if (member != null) {
            leaveAll(member);
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

    /** Looks at all agents again, because time alone can make one unfit. */
    public void timePassed(Instant now) {
        this.now = now;
        members.values().forEach(this::reorder);
    }

    public void switchStrategy(LoadBalancingStrategy strategy) {
        this.strategy = strategy;
        members.values().forEach(member -> member.suited.clear());
        for (TaskGroup group : backlog.groups()) {
            group.open = strategy.select(group.requirements, random);
            members.values().forEach(member -> join(member, group));
        }
    }

    private TaskGroup open(Requirements requirements) {
        TaskGroup group = new TaskGroup(requirements, strategy.select(requirements, random));
        members.values().forEach(member -> join(member, group));
        return group;
    }

    private void forget(TaskGroup group) {
        members.values().forEach(member -> member.suited.remove(group));
    }

    private void findSuited(Member member) {
        backlog.groups().forEach(group -> join(member, group));
    }

    private void join(Member member, TaskGroup group) {
        if (Eligibility.suits(member.candidate.agent().registration(), group.requirements, !strategy.prefersRegion())) {
            member.suited.add(group);
            place(member.candidate, group);
        }
    }

    private void leaveAll(Member member) {
        member.suited.forEach(group -> group.open.remove(member.candidate));
        member.suited.clear();
    }

    private void reorder(Member member) {
        member.suited.forEach(group -> place(member.candidate, group));
    }

    private void place(Candidate candidate, TaskGroup group) {
        if (candidate.hasRoom() && Eligibility.fit(candidate.agent(), group.requirements, now, health)) {
            group.open.put(candidate);
        } else {
            group.open.remove(candidate);
        }
    }
}

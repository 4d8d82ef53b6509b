package io.aitbc.coordinator.match;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Keeps agents free for tasks that have waited long and take more of a resource than is left of any agent: small tasks would use every bit that becomes
 * free. Such an agent gets no other task that takes the same resources, nor its last free slot, until the large one is granted, at most for five minutes.
 * It is a form of the aged share: at one time, that share of the agents that could take such tasks is kept at most, or one agent; and
 * each agent, over time, for that share of the time. Kubernetes nominates a node for a pod that preempted others; here nothing is preempted.
 */
final class KeptAgents {
    /** As long as most tasks take: then what the agent held has ended. */
    static final Duration MAX_TIME = Duration.ofMinutes(5);
    /** Between two updates: each looks at all groups of tasks, and for some of them at all agents. */
    static final Duration INTERVAL = Duration.ofMillis(250);

    /** Groups for which an agent is looked for in an update. */
    private static final int MAX_SEARCHES = 32;

    private static final Comparator<Member> BY_ID = Comparator.comparing(member -> member.candidate.id());

    private final double share;
    private final List<Kept> kept = new ArrayList<>();
    private Map<Member, KeptAgent> elsewhere = Map.of();
    private Instant nextUpdate = Instant.EPOCH;

    private record Kept(Member member, TaskGroup group, Instant since) {
        KeptAgent agent() {
            return new KeptAgent(member.candidate.id(), group.requirements, since);
        }
    }

    /** @param share of the agents, and of the time */
    KeptAgents(double share) {
        this.share = share;
    }

    /** Whether {@link #update} is to be called. */
    boolean isDue(Instant now) {
        return !now.isBefore(nextUpdate) || nextUpdate.isAfter(now.plus(INTERVAL));
    }

    /**
     * Begins and ends keeping agents.
     *
     * @param waiting groups that have tasks which have waited long for resources, and at most how many; the longest-waiting first
     * @param isLacking whether no agent can take a task of a group, and others may go on taking what becomes free
     */
    void update(Map<TaskGroup, Integer> waiting, Predicate<TaskGroup> isLacking, Instant now) {
        nextUpdate = now.plus(INTERVAL);
        for (Kept one : List.copyOf(kept)) {
            Pool pool = one.group.pool;
            boolean isOver = !now.isBefore(one.since.plus(MAX_TIME)) || now.isBefore(one.since);
            boolean canServe = pool.members().contains(one.member) && one.member.score >= pool.minHealth;
            if (isOver || !canServe || !waiting.containsKey(one.group)) {
                end(one, now);
            } else {
                // Its group may have come to another pool.
                one.member.reorder();
            }
        }
        waiting.entrySet().stream()
                .filter(entry -> isLacking.test(entry.getKey()))
                .limit(MAX_SEARCHES)
                .forEach(entry -> keep(entry.getKey(), entry.getValue(), now));
    }

    private void keep(TaskGroup group, int tasks, Instant now) {
        long here = kept.stream().filter(one -> one.group == group).count();
        long ofPool = group.pool.members().stream().filter(Member::isKept).count();
        if (here >= tasks
                || ofPool >= Math.max(1, (int) (share * group.pool.members().size()))) {
            return;
        }
        Member nearest = nearest(group.pool, now);
        if (nearest != null) {
            nearest.keptFor = group;
            kept.add(new Kept(nearest, group, now));
            nearest.reorder();
        }
    }

    /** The agent that lacks least of its resources; null if each is kept already, was not long ago, or lacks only a slot. */
    private @Nullable Member nearest(Pool pool, Instant now) {
        Member nearest = null;
        double least = Double.MAX_VALUE;
        for (Member member : pool.members()) {
            double lacks = member.candidate.lacking(pool.needed);
            if (lacks > 0 && member.score >= pool.minHealth && !member.isKept() && !isBarred(member, now)) {
                if (lacks < least || lacks == least && nearest != null && BY_ID.compare(member, nearest) < 0) {
                    nearest = member;
                    least = lacks;
                }
            }
        }
        return nearest;
    }

    /** False if the clock has been set back. */
    private boolean isBarred(Member member, Instant now) {
        return now.isBefore(member.notKeptBefore) && !member.notKeptBefore.isAfter(now.plus(pauseAfter(MAX_TIME)));
    }

    /** How long an agent is not kept again. */
    private Duration pauseAfter(Duration time) {
        return Duration.ofMillis((long) (time.toMillis() * (1 / share - 1)));
    }

    private void bar(Member member, Instant since, Instant now) {
        Duration lasted = Duration.between(since, now);
        if (!lasted.isNegative()) {
            member.notKeptBefore = now.plus(pauseAfter(lasted.compareTo(MAX_TIME) < 0 ? lasted : MAX_TIME));
        }
    }

    /** Notes that an agent was granted a task. */
    void granted(Member member, WaitingTask task, Instant now) {
        if (member.keptFor != null
                && member.keptFor
                        .requirements
                        .resources()
                        .equals(task.task().requirements().resources())) {
            kept.stream().filter(one -> one.member == member).findFirst().ifPresent(one -> end(one, now));
        }
    }

    private void end(Kept one, Instant now) {
        bar(one.member, one.since, now);
        release(one);
    }

    private void release(Kept one) {
        kept.remove(one);
        one.member.keptFor = null;
        one.member.reorder();
    }

    /** The agents that are kept here. */
    List<KeptAgent> list() {
        return kept.stream().map(Kept::agent).toList();
    }

    /**
     * Applies which agents other lanes keep. If two keep the same one, it belongs to the one that began first.
     *
     * @param find an agent by its id
     */
    void setElsewhere(Collection<KeptAgent> agents, Function<String, @Nullable Member> find, Instant now) {
        if (agents.isEmpty() && elsewhere.isEmpty()) {
            return;
        }
        Map<Member, KeptAgent> newer = new HashMap<>();
        for (KeptAgent agent : agents) {
            Member member = find.apply(agent.agentId());
            Kept own = member == null
                    ? null
                    : kept.stream()
                            .filter(one -> one.member == member)
                            .findFirst()
                            .orElse(null);
            if (own != null && !agent.since().isAfter(own.since)) {
                release(own);
                own = null;
            }
            if (member != null && own == null) {
                newer.merge(member, agent, (a, b) -> b.since().isBefore(a.since()) ? b : a);
            }
        }
        Map<Member, KeptAgent> before = elsewhere;
        elsewhere = newer;
        before.forEach((member, agent) -> {
            if (!newer.containsKey(member)) {
                member.keptElsewhere = null;
                bar(member, agent.since(), now);
                member.reorder();
            }
        });
        newer.forEach((member, agent) -> {
            member.keptElsewhere = agent.requirements().resources();
            member.reorder();
        });
    }
}

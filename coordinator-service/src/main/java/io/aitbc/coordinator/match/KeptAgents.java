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
import org.jspecify.annotations.Nullable;

/**
 * Keeps agents free for tasks that have waited long and take more of a resource than is left of any agent: small tasks would use every bit that becomes
 * free. Such an agent gets no other task that takes the same resources, nor its last free slot, until the large one is placed, at most for five minutes.
 * It is a form of the aged share: at one time, that share of the agents that could take such tasks is kept at most, or one agent; and
 * each agent, over time, for that share of the time. Kubernetes nominates a node for a pod that preempted others; here nothing is preempted.
 */
final class KeptAgents {
    /** As long as most tasks take: then what the agent held has ended. */
    static final Duration MAX_TIME = Duration.ofMinutes(5);
    /** Between two updates, whose cost is linear in the numbers of agents and of groups. */
    static final Duration INTERVAL = Duration.ofMillis(250);

    private static final Comparator<Member> BY_ID = Comparator.comparing(member -> member.candidate.id());

    private final double share;
    private final List<Kept> kept = new ArrayList<>();
    private Map<Member, KeptAgent> elsewhere = Map.of();
    private Instant nextUpdate = Instant.EPOCH;

    private record Kept(Member member, Pool pool, Instant since) {
        KeptAgent agent() {
            return new KeptAgent(member.candidate.id(), pool.needed, since);
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
     * @param lacking how many tasks have waited long, and take more than is left of any agent; the longest-waiting first
     */
    void update(Map<Pool, Integer> lacking, Instant now) {
        nextUpdate = now.plus(INTERVAL);
        for (Kept one : List.copyOf(kept)) {
            boolean isOver = !now.isBefore(one.since.plus(MAX_TIME)) || now.isBefore(one.since);
            boolean isOfUse = lacking.containsKey(one.pool) || one.pool.canTake(one.member);
            if (isOver || !isOfUse || !one.pool.members().contains(one.member)) {
                end(one, now);
            }
        }
        lacking.forEach((pool, tasks) -> keep(pool, tasks, now));
    }

    private void keep(Pool pool, int tasks, Instant now) {
        long here = kept.stream().filter(one -> one.pool == pool).count();
        long keptMembers =
                kept.stream().filter(one -> pool.members().contains(one.member)).count();
        if (here >= tasks
                || keptMembers >= Math.max(1, (int) (share * pool.members().size()))) {
            return;
        }
        Member nearest = nearest(pool, now);
        if (nearest != null && nearest.candidate.lacking(pool.needed) > 0) {
            nearest.keptFor = pool;
            kept.add(new Kept(nearest, pool, now));
            nearest.reorder();
        }
    }

    /** The agent that lacks least; null if each is kept already, or was not long ago. */
    private static @Nullable Member nearest(Pool pool, Instant now) {
        Member nearest = null;
        double least = Double.MAX_VALUE;
        for (Member member : pool.members()) {
            if (member.score >= pool.minHealth
                    && member.keptFor == null
                    && member.keptElsewhere == null
                    && !now.isBefore(member.notKeptBefore)) {
                double lacks = member.candidate.lacking(pool.needed);
                if (lacks < least || lacks == least && nearest != null && BY_ID.compare(member, nearest) < 0) {
                    nearest = member;
                    least = lacks;
                }
            }
        }
        return nearest;
    }

    /** Notes that a task was placed on an agent. */
    void placed(Member member, Pool pool, Instant now) {
        if (member.keptFor == pool) {
            kept.stream().filter(one -> one.member == member).findFirst().ifPresent(one -> end(one, now));
        }
    }

    private void end(Kept one, Instant now) {
        Duration lasted = Duration.between(one.since, now);
        if (!lasted.isNegative()) {
            one.member.notKeptBefore = now.plusMillis((long) (lasted.toMillis() * (1 / share - 1)));
        }
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
    void setElsewhere(Collection<KeptAgent> agents, Function<String, @Nullable Member> find) {
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
        before.keySet().forEach(member -> {
            if (!newer.containsKey(member)) {
                member.keptElsewhere = null;
                member.reorder();
            }
        });
        newer.forEach((member, agent) -> {
            member.keptElsewhere = agent.resources();
            member.reorder();
        });
    }
}

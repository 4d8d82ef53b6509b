package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.balance.Selection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The agents that suit certain groups of tasks, and, in the strategy's order, those that can take such a task now. The cost of a
 * change to an agent grows with the number of its pools, not with the number of groups.
 */
final class Pool {
    /** Equal for pools of the same agents; collisions between different sets of agents are extremely unlikely. */
    record Signature(double minHealth, Resources needed, int size, long sum) {}

    private static final long GOLDEN_RATIO = 0x9E3779B97F4A7C15L;

    final double minHealth;
    /** What each task of its groups takes. */
    final Resources needed;

    final Selection open;
    final Set<TaskGroup> groups = new LinkedHashSet<>();
    /** Decides which contended choices of its groups go to aged tasks. */
    final AgedShare agedShare;

    private final Set<Member> members = new LinkedHashSet<>();
    /** By level: the next aged tasks of its groups as of the start of the round, including those placed since. */
    private final List<Heads> aged = Stream.generate(() -> new Heads(
                    head -> head.queue().agedShare, head -> head.group().aged(head.level(), this::isAged)))
            .limit(Priority.values().length)
            .toList();

    private Predicate<BacklogEntry> isAged = entry -> false;

    private long sum;

    Pool(double minHealth, Resources needed, Selection open, AgedShare agedShare) {
        this.minHealth = minHealth;
        this.needed = needed;
        this.open = open;
        this.agedShare = agedShare;
    }

    static Signature signature(double minHealth, Resources needed, Set<Member> members) {
        return new Signature(
                minHealth,
                needed,
                members.size(),
                members.stream().mapToLong(Pool::scrambled).sum());
    }

    Signature signature() {
        return new Signature(minHealth, needed, members.size(), sum);
    }

    Set<Member> members() {
        return members;
    }

    void add(Member member) {
        if (members.add(member)) {
            sum += scrambled(member);
            member.pools.add(this);
        }
        updatePosition(member);
    }

    void leave(Member member) {
        if (members.remove(member)) {
            sum -= scrambled(member);
            member.pools.remove(this);
            open.forget(member.candidate);
        }
    }

    void forgetAged() {
        aged.forEach(Heads::clear);
    }

    /** @param isAged applied to tasks that move to the head of their queue */
    void recordAged(TaskGroup.Head head, Predicate<BacklogEntry> isAged) {
        this.isAged = isAged;
        aged.get(head.level()).add(head);
    }

    private boolean isAged(BacklogEntry entry) {
        return isAged.test(entry);
    }

    /** The next aged task among those of a lower priority than {@code level}; null if there is none. */
    TaskGroup.@Nullable Head nextAged(int level, Member forAgent) {
        TaskGroup.Head next = null;
        for (int lower = level + 1; lower < aged.size(); lower++) {
            TaskGroup.Head first = aged.get(lower).peek();
            while (first != null && first.group().isAgedPassedOver) {
                aged.get(lower).poll();
                first = aged.get(lower).peek();
            }
            if (first != null
                    && !wasRejected(first, forAgent)
                    && (next == null || TaskGroup.Head.BY_AGED_TURN.compare(first, next) < 0)) {
                next = first;
            }
        }
        return next;
    }

    /** Whether the agent rejected the task and there is another one to give it to. */
    private boolean wasRejected(TaskGroup.Head head, Member by) {
        return members.size() > 1
                && head.hasPayload()
                && by.candidate.id().equals(head.task().task().rejectedBy());
    }

    /** Whether an agent of this pool can take a task now. */
    boolean canTake(Member member) {
        return member.candidate.hasRoom(needed) && member.score >= minHealth && !member.isKeptFrom(this);
    }

    /** Updates an agent's position after a change: adds, moves or removes it. */
    void updatePosition(Member member) {
        if (canTake(member)) {
            open.put(member.candidate);
        } else {
            open.remove(member.candidate);
        }
    }

    /**
     * A hash of the id, identical in every run; similar ids get very different values (Knuth, "The Art of Computer Programming",
     * 6.4).
     */
    private static long scrambled(Member member) {
        String id = member.candidate.id();
        long mixed = 0;
        for (int i = 0; i < id.length(); i++) {
            mixed = (mixed ^ id.charAt(i)) * GOLDEN_RATIO;
            mixed ^= mixed >>> 29;
        }
        return mixed;
    }
}

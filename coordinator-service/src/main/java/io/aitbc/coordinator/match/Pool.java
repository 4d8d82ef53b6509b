package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.balance.Selection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The agents that suit some groups of tasks alike, and those of them that can take such a task right now, in the strategy's order. What
 * an agent's change costs grows with the pools that it is in, not with the kinds of tasks.
 */
final class Pool {
    /** What two pools of the same agents have in common; of different agents they are as good as never the same. */
    record Signature(double minHealth, int size, long sum) {}

    private static final long GOLDEN_RATIO = 0x9E3779B97F4A7C15L;

    final double minHealth;
    final Selection open;
    final Set<TaskGroup> groups = new LinkedHashSet<>();
    /** Of the choices of its groups' tasks for which aged ones compete. */
    final AgedShare agedShare;

    private final Set<Member> members = new LinkedHashSet<>();
    /** By level: the aged heads of its groups' queues, as they were when the round began, those that have gone included. */
    private final List<PriorityQueue<TaskGroup.Turn>> aged = Stream.generate(
                    () -> new PriorityQueue<>(TaskGroup.Turn.BY_WAITING))
            .limit(Priority.values().length)
            .toList();

    private long sum;

    Pool(double minHealth, Selection open, AgedShare agedShare) {
        this.minHealth = minHealth;
        this.open = open;
        this.agedShare = agedShare;
    }

    static Signature signature(double minHealth, Set<Member> members) {
        return new Signature(
                minHealth,
                members.size(),
                members.stream().mapToLong(Pool::scrambled).sum());
    }

    Signature signature() {
        return new Signature(minHealth, members.size(), sum);
    }

    Set<Member> members() {
        return members;
    }

    void add(Member member) {
        if (members.add(member)) {
            sum += scrambled(member);
            member.pools.add(this);
        }
        place(member);
    }

    void leave(Member member) {
        if (members.remove(member)) {
            sum -= scrambled(member);
            member.pools.remove(this);
            open.forget(member.candidate);
        }
    }

    void forgetAged() {
        aged.forEach(PriorityQueue::clear);
    }

    void noteAged(TaskGroup.Turn turn) {
        aged.get(turn.level()).add(turn);
    }

    /**
     * The aged task that has waited longest, of those of a lower priority than {@code level}.
     *
     * @param isAged of a task that comes to the head of its queue
     */
    TaskGroup.@Nullable Turn longestAged(int level, Member forAgent, Predicate<WaitingTask> isAged) {
        TaskGroup.Turn longest = null;
        for (int lower = level + 1; lower < aged.size(); lower++) {
            TaskGroup.Turn first = firstAged(aged.get(lower), isAged);
            if (first != null
                    && !wasRejected(first, forAgent)
                    && (longest == null || TaskGroup.Turn.BY_WAITING.compare(first, longest) < 0)) {
                longest = first;
            }
        }
        return longest;
    }

    private static TaskGroup.@Nullable Turn firstAged(
            PriorityQueue<TaskGroup.Turn> turns, Predicate<WaitingTask> isAged) {
        while (!turns.isEmpty() && !turns.peek().isCurrent()) {
            TaskGroup.Turn gone = turns.poll();
            WaitingTask head = gone.group().head(gone.head().position().priority());
            if (head != null && isAged.test(head)) {
                turns.add(new TaskGroup.Turn(gone.group(), head));
            }
        }
        return turns.peek();
    }

    /** Not straight back to the agent that rejected it, if there is another. */
    private boolean wasRejected(TaskGroup.Turn turn, Member by) {
        return members.size() > 1 && by.candidate.id().equals(turn.head().task().rejectedBy());
    }

    /** Whether an agent, which is one of its own, can take a task now. */
    boolean isOpenTo(Member member) {
        return member.candidate.hasRoom() && member.score >= minHealth;
    }

    /** Finds an agent its place after a change, or none. */
    void place(Member member) {
        if (isOpenTo(member)) {
            open.put(member.candidate);
        } else {
            open.remove(member.candidate);
        }
    }

    /** The same for the same id in every run; ids that differ little differ much (Knuth, "The Art of Computer Programming", 6.4). */
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

package io.aitbc.coordinator.match;

import io.aitbc.coordinator.balance.Selection;
import java.util.LinkedHashSet;
import java.util.Set;

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
    private final Set<Member> members = new LinkedHashSet<>();
    private long sum;

    Pool(double minHealth, Selection open) {
        this.minHealth = minHealth;
        this.open = open;
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

    /** Finds an agent its place after a change, or none. */
    void place(Member member) {
        if (member.candidate.hasRoom() && member.score >= minHealth) {
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

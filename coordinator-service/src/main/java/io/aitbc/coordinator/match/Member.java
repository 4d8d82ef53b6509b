package io.aitbc.coordinator.match;

import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.balance.Candidate;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** An agent, in any state, and the pools it belongs to. */
final class Member {
    final Candidate candidate;
    final Set<Pool> pools = new LinkedHashSet<>();
    /** Health as last evaluated; below any minimum that a task can require while the agent takes no tasks. */
    double score;

    Instant nextEvaluation = Instant.MAX;
    /** The group for whose tasks it is kept free; null if it is not. */
    @Nullable
    TaskGroup keptFor;
    /** What a task takes for which another lane keeps it free; null if none does. */
    @Nullable
    Resources keptElsewhere;
    /** Until when it is not kept again. */
    Instant notKeptBefore = Instant.EPOCH;
    /** When each slot yielded to another coordinator is reclaimed. */
    private final PriorityQueue<Instant> yieldedUntil = new PriorityQueue<>();

    Member(Candidate candidate) {
        this.candidate = candidate;
    }

    /** Whether it is kept free, here or by another lane. */
    boolean isKept() {
        return keptFor != null || keptElsewhere != null;
    }

    /** Whether it is kept free for tasks of a group: then no others have a claim to it. */
    boolean isKeptFor(TaskGroup group) {
        return keptFor != null && keptFor.pool == group.pool;
    }

    /** Whether it is kept free of tasks of a pool. */
    boolean isKeptFrom(Pool pool) {
        return keptFor != null && keptFor.pool != pool && hinders(pool, keptFor.requirements.resources())
                || keptElsewhere != null && hinders(pool, keptElsewhere);
    }

    private boolean hinders(Pool pool, Resources needed) {
        return candidate.freeSlots() <= 1 || pool.needed.overlap(needed);
    }

    void yieldSlot(Instant until) {
        yieldedUntil.add(until);
        candidate.yieldSlot();
    }

    /**
     * Reclaims yielded slots that are overdue.
     *
     * @param over whether a slot is overdue
     */
    void reclaimSlots(Predicate<Instant> over) {
        while (yieldedUntil.size() > candidate.yieldedSlots()) {
            // The other coordinator used it.
            yieldedUntil.remove();
        }
        while (!yieldedUntil.isEmpty() && over.test(yieldedUntil.peek())) {
            yieldedUntil.remove();
            candidate.reclaimSlot();
        }
    }

    /** Takes its place among the open agents of its pools, after a change. */
    void reorder() {
        for (Pool pool : pools) {
            pool.updatePosition(this);
        }
    }
}

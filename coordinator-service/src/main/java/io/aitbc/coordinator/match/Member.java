package io.aitbc.coordinator.match;

import io.aitbc.coordinator.balance.Candidate;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.function.Predicate;

/** An agent, in any state, and the pools it belongs to. */
final class Member {
    final Candidate candidate;
    final Set<Pool> pools = new LinkedHashSet<>();
    /** Health as last evaluated; below any minimum that a task can require while the agent takes no tasks. */
    double score;

    Instant nextEvaluation = Instant.MAX;
    /** When each slot yielded to another coordinator is reclaimed. */
    private final PriorityQueue<Instant> yieldedUntil = new PriorityQueue<>();

    Member(Candidate candidate) {
        this.candidate = candidate;
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

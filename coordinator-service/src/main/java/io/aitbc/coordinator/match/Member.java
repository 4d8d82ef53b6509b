package io.aitbc.coordinator.match;

import io.aitbc.coordinator.balance.Candidate;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.function.Predicate;

/** An agent, and the pools that it belongs to, whatever state it is in. */
final class Member {
    final Candidate candidate;
    final Set<Pool> pools = new LinkedHashSet<>();
    /** Its health when it was last looked at; below any that a task may ask for while it takes none at all. */
    double score;

    Instant nextLook = Instant.MAX;
    /** For each place that is left to another coordinator, until when. */
    private final Deque<Instant> leftUntil = new ArrayDeque<>();

    Member(Candidate candidate) {
        this.candidate = candidate;
    }

    void leave(Instant until) {
        leftUntil.add(until);
        candidate.leave();
    }

    /** Takes back what was left for long enough. @param over whether it is */
    void takeBack(Predicate<Instant> over) {
        while (leftUntil.size() > candidate.left()) {
            // Taken by then.
            leftUntil.remove();
        }
        while (!leftUntil.isEmpty() && over.test(leftUntil.peek())) {
            leftUntil.remove();
            candidate.takeBack();
        }
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.coordinator.balance.Candidate;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Set;

/** An agent, and the pools that it belongs to, whatever state it is in. */
final class Member {
    final Candidate candidate;
    final Set<Pool> pools = new LinkedHashSet<>();
    /** Its health when it was last looked at; below any that a task may ask for while it takes none at all. */
    double score;

    Instant nextLook = Instant.MAX;

    Member(Candidate candidate) {
        this.candidate = candidate;
    }
}

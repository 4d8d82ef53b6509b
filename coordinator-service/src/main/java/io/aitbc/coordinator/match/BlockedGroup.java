package io.aitbc.coordinator.match;

import io.aitbc.contracts.Requirements;
import java.time.Instant;

/**
 * Waiting tasks with equal requirements for which no agent is free.
 *
 * @param tasks how many; in a backlog of more than 100,000, up to a tenth more, which were removed
 * @param oldest since when the longest-waiting of them has waited
 */
public record BlockedGroup(Requirements requirements, int tasks, Instant oldest) {
    public BlockedGroup {
        requirements = requirements == null ? Requirements.NONE : requirements;
        if (oldest == null) {
            throw new IllegalArgumentException("oldest is required");
        }
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;

/**
 * A task waits somewhere for an agent that could take it but is full.
 *
 * @param level its effective priority, 0 for urgent to 4 for low
 */
public record Want(Requirements requirements, int level) {
    public Want {
        requirements = requirements == null ? Requirements.NONE : requirements;
        if (level < 0 || level >= Priority.values().length) {
            throw new IllegalArgumentException("level must be that of a priority but was " + level);
        }
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * Tasks wait somewhere for an agent that could take them but is full, or is left to more urgent ones.
 *
 * @param level their priority, 0 for urgent to 4 for low
 * @param aged null unless the first of them is aged; older coordinators neither send nor read it
 */
public record Want(
        Requirements requirements, int level, @Nullable Aged aged) {

    /**
     * @param since when the task that has waited longest was accepted
     * @param tasks how many wait with it at most, so that no more places are left to them than they can use
     */
    public record Aged(Instant since, int tasks) {
        public Aged {
            if (since == null || tasks < 1) {
                throw new IllegalArgumentException("aged tasks need a time and a positive count");
            }
        }
    }

    public Want {
        requirements = requirements == null ? Requirements.NONE : requirements;
        if (level < 0 || level >= Priority.values().length) {
            throw new IllegalArgumentException("level must be that of a priority but was " + level);
        }
    }

    public Want(Requirements requirements, int level) {
        this(requirements, level, null);
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * Demand of tasks waiting at a coordinator for agents that could take them but are full, or are left to more urgent tasks.
 *
 * @param level their priority, 0 for urgent to 4 for low
 * @param aged null unless the first task is aged; older coordinators neither send nor read it
 */
public record Want(
        Requirements requirements, int level, @Nullable Aged aged) {

    /**
     * @param since when the longest-waiting task was accepted
     * @param tasks upper bound on the tasks waiting with it, so that no more slots are yielded than they can use
     */
    public record Aged(Instant since, int tasks) {
        public Aged {
            if (since == null || tasks < 1) {
                throw new IllegalArgumentException("aged requires a time and a positive number of tasks");
            }
        }
    }

    public Want {
        requirements = requirements == null ? Requirements.NONE : requirements;
        if (level < 0 || level >= Priority.values().length) {
            throw new IllegalArgumentException("level must be a priority level but was " + level);
        }
    }

    public Want(Requirements requirements, int level) {
        this(requirements, level, null);
    }
}

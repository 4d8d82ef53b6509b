package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.Set;

/**
 * How far a lane has come in the fair queueing of a priority, so that lanes share agents in proportion to what waits in them.
 *
 * @param level 0 for urgent to 4 for low
 * @param time the start tag of the task that it placed last
 * @param earlier the same a second ago: no other lane may be further behind than this
 * @param step what a placement adds to it, on average
 * @param keys hash codes of the fairness keys with waiting tasks; empty if they are too many, in which case they are taken to be the same everywhere
 */
public record LaneTime(int level, double time, double earlier, double step, Set<Integer> keys) {
    public LaneTime {
        if (level < 0 || level >= Priority.values().length) {
            throw new IllegalArgumentException("level must be a priority level but was " + level);
        }
        if (!(earlier >= 0 && earlier <= time && time < Double.MAX_VALUE && step > 0)) {
            throw new IllegalArgumentException("times must be positive and in order");
        }
        keys = keys == null ? Set.of() : Set.copyOf(keys);
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.Set;

/**
 * How much a lane has placed, within a priority, on agents that several lanes want, beside the weights of its keys.
 *
 * @param level 0 for urgent to 4 for low
 * @param time the placements, each divided by the sum of the weights of the keys that competed then
 * @param earlier the same up to a second ago
 * @param step what the next placement adds
 * @param keys hash codes of the keys that compete; empty if they are too many, in which case they are taken to be the same everywhere
 */
public record LaneTime(int level, double time, double earlier, double step, Set<Integer> keys) {
    private static final double MAX = 1e15;

    public LaneTime {
        if (level < 0 || level >= Priority.values().length) {
            throw new IllegalArgumentException("level must be a priority level but was " + level);
        }
        if (!(earlier >= 0 && earlier <= time && time <= MAX && step > 0 && step <= MAX)) {
            throw new IllegalArgumentException("times must be positive and in order");
        }
        keys = keys == null ? Set.of() : Set.copyOf(keys);
    }
}

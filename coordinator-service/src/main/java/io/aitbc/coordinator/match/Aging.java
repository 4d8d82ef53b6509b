package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.time.Duration;
import java.time.Instant;

/**
 * When a waiting task is aged, and which share of contended choices it gets against more urgent tasks.
 *
 * @param interval a task is aged once it has waited this long per level above its own; zero: no task ever is
 * @param share the fraction of contended choices that goes to the aged task that has waited longest
 */
public record Aging(Duration interval, double share) {
    public static final double MIN_SHARE = 0.001;
    public static final double MAX_SHARE = 0.5;

    public Aging {
        if (interval.isNegative() || !interval.isZero() && interval.toMillis() == 0) {
            throw new IllegalArgumentException("aging interval must be 0 or at least 1 ms but was " + interval);
        }
        if (!(share >= MIN_SHARE && share <= MAX_SHARE)) {
            throw new IllegalArgumentException(
                    "aged share must be from " + MIN_SHARE + " to " + MAX_SHARE + " but was " + share);
        }
    }

    /** Whether a task is aged. An urgent task never is: no level is above it. */
    public boolean isAged(Priority priority, Instant waitingSince, Instant now) {
        int levelsAbove = priority.ordinal();
        return levelsAbove > 0
                && !interval.isZero()
                && (now.toEpochMilli() - waitingSince.toEpochMilli()) / levelsAbove >= interval.toMillis();
    }

    /** Whether a task has waited so long that an agent is kept free for it: as long as until it is aged, and an urgent one as long as one of the next level. */
    boolean hasWaitedLong(BacklogEntry entry, Instant now) {
        return isAged(Priority.values()[Math.max(1, entry.level())], entry.waitingSince(), now);
    }

    boolean isAged(BacklogEntry entry, Instant now) {
        return isAged(entry.priority(), entry.waitingSince(), now);
    }
}

package io.aitbc.coordinator.match;

import java.time.Instant;
import java.util.Objects;

/**
 * A limit that keeps tasks back.
 *
 * @param tasks how many; those that wait for another reason too are among them
 * @param oldest since when the longest-waiting of them has waited
 */
public record WaitingLimit(String name, int tasks, Instant oldest) {
    public WaitingLimit {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(oldest, "oldest");
    }

    /** Both together, of the same limit. */
    public static WaitingLimit sum(WaitingLimit a, WaitingLimit b) {
        return new WaitingLimit(a.name, a.tasks + b.tasks, a.oldest.isBefore(b.oldest) ? a.oldest : b.oldest);
    }
}

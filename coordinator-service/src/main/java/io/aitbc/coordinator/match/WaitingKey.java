package io.aitbc.coordinator.match;

import java.time.Instant;
import java.util.Objects;

/**
 * A fairness key with waiting tasks that are due.
 *
 * @param key empty for tasks without one
 * @param tasks how many; in a backlog of more than 100,000, up to a tenth more, which were removed
 * @param oldest since when the longest-waiting of them has waited
 */
public record WaitingKey(String key, int tasks, Instant oldest) {
    public WaitingKey {
        Objects.requireNonNull(key, "key");
        Objects.requireNonNull(oldest, "oldest");
    }

    /** Both together, of the same key. */
    public static WaitingKey sum(WaitingKey a, WaitingKey b) {
        return new WaitingKey(a.key, a.tasks + b.tasks, a.oldest.isBefore(b.oldest) ? a.oldest : b.oldest);
    }
}

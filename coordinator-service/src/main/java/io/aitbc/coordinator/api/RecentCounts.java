package io.aitbc.coordinator.api;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;

/**
 * How much counters have grown lately, from samples taken whenever somebody asks, which the live view does every few seconds. An average
 * over all time would say little of how things are: after a day, an hour of standstill is lost in it. May be used by any thread.
 */
final class RecentCounts {
    static final Duration WINDOW = Duration.ofMinutes(5);
    private static final Duration BETWEEN_SAMPLES = Duration.ofSeconds(5);

    /** The oldest first: one from before the window, if there was one, and those within. */
    private final Deque<Sample> samples = new ArrayDeque<>();

    private record Sample(Instant at, Map<String, Long> counts) {}

    /** Counter → by how much it has grown in the last five minutes, or since the first call. */
    synchronized Map<String, Long> growth(Map<String, Long> counts, Instant now) {
        Sample newest = samples.peekLast();
        if (newest != null && (newest.at().isAfter(now) || fell(newest.counts(), counts))) {
            // The clock was set back, or Redis was emptied.
            samples.clear();
            newest = null;
        }
        if (newest == null || !newest.at().plus(BETWEEN_SAMPLES).isAfter(now)) {
            samples.addLast(new Sample(now, Map.copyOf(counts)));
        }
        while (samples.size() > 1 && !secondOldest().at().plus(WINDOW).isAfter(now)) {
            samples.removeFirst();
        }
        Map<String, Long> before = samples.getFirst().counts();
        Map<String, Long> growth = new HashMap<>();
        counts.forEach((name, count) -> growth.put(name, count - before.getOrDefault(name, 0L)));
        return growth;
    }

    private Sample secondOldest() {
        return samples.stream().skip(1).findFirst().orElseThrow();
    }

    private static boolean fell(Map<String, Long> before, Map<String, Long> counts) {
        return before.entrySet().stream().anyMatch(entry -> counts.getOrDefault(entry.getKey(), 0L) < entry.getValue());
    }
}

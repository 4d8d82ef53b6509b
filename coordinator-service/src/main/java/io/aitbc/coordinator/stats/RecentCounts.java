package io.aitbc.coordinator.stats;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;

/**
 * The recent growth of counters, from samples taken on each query; the live view queries every few seconds. A lifetime average would hide
 * the current state: after a day, an hour of standstill hardly shows. Thread-safe.
 */
final class RecentCounts {
    static final Duration WINDOW = Duration.ofMinutes(5);
    private static final Duration SAMPLE_INTERVAL = Duration.ofSeconds(5);

    /** Oldest first: the samples within the window, and the last one before it if there is one. */
    private final Deque<Sample> samples = new ArrayDeque<>();

    private record Sample(Instant at, Map<String, Long> counts) {}

    /** Counter → growth in the last five minutes, or since the first call. */
    synchronized Map<String, Long> growth(Map<String, Long> counts, Instant now) {
        Sample newest = samples.peekLast();
        if (newest != null && (newest.at().isAfter(now) || hasDecreased(newest.counts(), counts))) {
            // The clock was set back, or Redis was emptied.
            samples.clear();
            newest = null;
        }
        if (newest == null || !newest.at().plus(SAMPLE_INTERVAL).isAfter(now)) {
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

    private static boolean hasDecreased(Map<String, Long> before, Map<String, Long> counts) {
        return before.entrySet().stream().anyMatch(entry -> counts.getOrDefault(entry.getKey(), 0L) < entry.getValue());
    }
}

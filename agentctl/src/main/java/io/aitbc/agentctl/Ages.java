package io.aitbc.agentctl;

import java.time.Duration;
import java.time.Instant;

/** Durations for display, with at most two units: {@code 12s}, {@code 3m 12s}, {@code 2h 5m}, {@code 4d 3h}. */
final class Ages {
    private Ages() {}

    static String of(Duration age) {
        long seconds = Math.max(0, age.toSeconds());
        if (seconds < 60) {
            return seconds + "s";
        }
        if (seconds < 3_600) {
            return seconds / 60 + "m " + seconds % 60 + "s";
        }
        return seconds < 86_400
                ? seconds / 3_600 + "h " + seconds % 3_600 / 60 + "m"
                : seconds / 86_400 + "d " + seconds % 86_400 / 3_600 + "h";
    }

    /** Formats a time relative to now: {@code 3m 12s ago} or {@code in 9m 40s}. */
    static String between(Instant at, Instant now) {
        return at.isAfter(now) ? "in " + of(Duration.between(now, at)) : of(Duration.between(at, now)) + " ago";
    }
}

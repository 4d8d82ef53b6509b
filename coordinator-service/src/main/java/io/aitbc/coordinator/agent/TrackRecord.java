package io.aitbc.coordinator.agent;

import java.time.Duration;
import java.time.Instant;

/**
 * Recent performance of an agent.
 *
 * @param failureShare share of failures among recent results, 0.0 to 1.0, as of {@code at}; each result has a weight of one tenth
 * @param responseMs average time from assignment to result in ms, as of {@code at}; 0 while unknown. It decays with {@link
 *     #RESPONSE_DECAY}; a longer time replaces it at once. A failed attempt counts as ten times the average so far: at least 10
 *     s, and at most 60 s or that average, whichever is longer
 * @param at time of the last result
 */
public record TrackRecord(double failureShare, double responseMs, Instant at) {
    public static final TrackRecord NONE = new TrackRecord(0, 0, Instant.EPOCH);

    /** Time in which the average response time falls to 1/e, unless a longer one arrives. */
    public static final Duration RESPONSE_DECAY = Duration.ofSeconds(60);

    private static final double FAILURE_HALF_LIFE_MS = 60_000;
    private static final double MIN_SHARE = 0.01;

    /** The failure share as of {@code now}: it halves every minute without results, and counts as 0 below one hundredth. */
    double failureShareAt(Instant now) {
        if (failureShare < MIN_SHARE) {
            return 0;
        }
        double ageMs = Math.max(0, Duration.between(at, now).toMillis());
        double share = failureShare * Math.pow(0.5, ageMs / FAILURE_HALF_LIFE_MS);
        return share < MIN_SHARE ? 0 : share;
    }
}

package io.aitbc.coordinator.agent;

import java.time.Duration;
import java.time.Instant;

/**
 * How an agent has done lately.
 *
 * @param failureShare which share of its recent results were failures, 0.0 to 1.0, as of {@code at}; each result counts a tenth
 * @param responseMs how long it takes from assignment to result, as of {@code at}: an average that forgets with {@link
 *     #RESPONSE_DECAY} and takes over at once what is longer, and what was in vain as ten times as long, from ten seconds to
 *     a minute, or as long as it takes anyway; 0 while nothing is known
 * @param at when the last result came
 */
public record TrackRecord(double failureShare, double responseMs, Instant at) {
    public static final TrackRecord NONE = new TrackRecord(0, 0, Instant.EPOCH);

    /** In this time the average response falls to 1/e, if nothing longer comes. */
    public static final Duration RESPONSE_DECAY = Duration.ofSeconds(60);

    private static final double FAILURE_HALF_LIFE_MS = 60_000;
    private static final double LEAST_SHARE = 0.01;

    /** The share as it counts by now: it halves every minute without results, and less than a hundredth is none. */
    double failureShareBy(Instant now) {
        if (failureShare < LEAST_SHARE) {
            return 0;
        }
        double ageMs = Math.max(0, Duration.between(at, now).toMillis());
        double share = failureShare * Math.pow(0.5, ageMs / FAILURE_HALF_LIFE_MS);
        return share < LEAST_SHARE ? 0 : share;
    }
}

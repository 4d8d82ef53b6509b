package io.aitbc.coordinator.agent;

import java.time.Duration;
import java.time.Instant;

/**
 * How well an agent is, and what that is made of: the score is the product of the four factors, each 0.0 to 1.0.
 *
 * @param regularity 1 until one heartbeat interval of silence, then falling linearly to 0 at the timeout
 * @param load 1 up to 70 % of processor or memory, whichever is higher, then falling linearly to 0.5 at 100 %
 * @param results falls with the share of failures among recent results, to 0.6 when all failed: failures alone never rule an
 *     agent out, because the tasks may be at fault; the share is forgotten with a half-life of a minute
 * @param status 1 active, 0.9 busy, 0.8 maintenance, 0 otherwise
 */
public record Health(double score, double regularity, double load, double results, double status) {
    private static final double LOAD_KNEE = 0.7;
    private static final double WORST_LOAD_FACTOR = 0.5;
    private static final double WORST_RESULTS_FACTOR = 0.6;
    private static final double FAILURE_HALF_LIFE_MS = 60_000;

    public static Health of(Agent agent, Instant now, HealthPolicy policy) {
        double regularity = regularity(Duration.between(agent.lastHeartbeat(), now), policy);
        double load = loadFactor(Math.max(agent.cpu(), agent.memory()));
        double results = 1 - (1 - WORST_RESULTS_FACTOR) * failureShare(agent, now);
        double status = switch (agent.status()) {
            case ACTIVE -> 1.0;
            case BUSY -> 0.9;
            case MAINTENANCE -> 0.8;
            case INACTIVE, STALE, ERROR -> 0.0;
        };
        return new Health(regularity * load * results * status, regularity, load, results, status);
    }

    private static double regularity(Duration silence, HealthPolicy policy) {
        double over = silence.minus(policy.heartbeatInterval()).toMillis();
        double span =
                policy.heartbeatTimeout().minus(policy.heartbeatInterval()).toMillis();
        return 1 - Math.min(1, Math.max(0, over / span));
    }

    private static double loadFactor(double load) {
        double over = Math.max(0, load - LOAD_KNEE) / (1 - LOAD_KNEE);
        return 1 - (1 - WORST_LOAD_FACTOR) * over;
    }

    private static double failureShare(Agent agent, Instant now) {
        double age = Math.max(0, Duration.between(agent.failureShareAt(), now).toMillis());
        return agent.failureShare() * Math.pow(0.5, age / FAILURE_HALF_LIFE_MS);
    }
}

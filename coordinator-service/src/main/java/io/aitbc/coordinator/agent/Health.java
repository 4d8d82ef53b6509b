package io.aitbc.coordinator.agent;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * An agent's health score and its factors: the score is the product of the four factors, each 0.0 to 1.0.
 *
 * @param regularity 1 until one heartbeat interval of silence, then falling linearly to 0 at the timeout
 * @param load 1 up to 70 % of CPU or memory, whichever is higher, then falling linearly to 0.5 at 100 %
 * @param results falls with the share of failures among recent results, to 0.6 when all failed. Failures alone never rule an
 *     agent out, because the tasks may be at fault. The share decays with a half-life of one minute
 * @param status 1 active, 0.9 busy, 0.8 maintenance, 0 otherwise
 */
public record Health(double score, double regularity, double load, double results, double status) {
    private static final double LOAD_KNEE = 0.7;
    private static final double WORST_LOAD_FACTOR = 0.5;
    private static final double WORST_RESULTS_FACTOR = 0.6;

    public static Health of(Agent agent, Instant now, HealthPolicy policy) {
        double regularity = regularity(Duration.between(agent.lastHeartbeat(), now), policy);
        double load = loadFactor(Agent.load(agent.loadMetrics()));
        double results = 1 - (1 - WORST_RESULTS_FACTOR) * agent.track().failureShareAt(now);
        double status = switch (agent.status()) {
            case ACTIVE -> 1.0;
            case BUSY -> 0.9;
            case MAINTENANCE -> 0.8;
            case INACTIVE, STALE, ERROR -> 0.0;
        };
        return new Health(regularity * load * results * status, regularity, load, results, status);
    }

    /** The factors that currently reduce an agent's health, one sentence each. */
    public static List<String> penalties(Agent agent, Instant now, HealthPolicy policy) {
        Health health = of(agent, now, policy);
        List<String> penalties = new ArrayList<>();
        if (health.regularity < 1) {
            penalties.add(text(
                    "it has been silent for %d s; silence of more than %d s reduces its health",
                    Duration.between(agent.lastHeartbeat(), now).toSeconds(),
                    policy.heartbeatInterval().toSeconds()));
        }
        if (health.load < 1) {
            penalties.add(text(
                    "its CPU usage is %.0f %% and its memory usage %.0f %%; usage above %.0f %% reduces its health",
                    100 * agent.cpu(), 100 * agent.memory(), 100 * LOAD_KNEE));
        }
        if (health.results < 1) {
            penalties.add(text(
                    "%.0f %% of its recent results were failures",
                    100 * agent.track().failureShareAt(now)));
        }
        if (health.status < 1) {
            penalties.add("its status is " + agent.status().wireName());
        }
        return penalties;
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    /** The time until which the score stays constant without further reports; {@code now} or earlier if it is changing already. */
    public static Instant stableUntil(Agent agent, Instant now, HealthPolicy policy) {
        if (agent.track().failureShareAt(now) > 0) {
            return now;
        }
        return policy.expectsHeartbeats() ? agent.lastHeartbeat().plus(policy.heartbeatInterval()) : Instant.MAX;
    }

    private static double regularity(Duration silence, HealthPolicy policy) {
        if (!policy.expectsHeartbeats()) {
            return 1;
        }
        double over = silence.minus(policy.heartbeatInterval()).toMillis();
        double span =
                policy.heartbeatTimeout().minus(policy.heartbeatInterval()).toMillis();
        return 1 - Math.min(1, Math.max(0, over / span));
    }

    /** The load factor at a given CPU or memory utilisation, 0.0 to 1.0. */
    public static double loadFactor(double load) {
        double over = Math.max(0, load - LOAD_KNEE) / (1 - LOAD_KNEE);
        return 1 - (1 - WORST_LOAD_FACTOR) * over;
    }
}

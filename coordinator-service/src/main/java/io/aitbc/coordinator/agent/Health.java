package io.aitbc.coordinator.agent;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

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

    public static Health of(Agent agent, Instant now, HealthPolicy policy) {
        double regularity = regularity(Duration.between(agent.lastHeartbeat(), now), policy);
        double load = loadFactor(Agent.load(agent.loadMetrics()));
        double results = 1 - (1 - WORST_RESULTS_FACTOR) * agent.track().failureShareBy(now);
        double status = switch (agent.status()) {
            case ACTIVE -> 1.0;
            case BUSY -> 0.9;
            case MAINTENANCE -> 0.8;
            case INACTIVE, STALE, ERROR -> 0.0;
        };
        return new Health(regularity * load * results * status, regularity, load, results, status);
    }

    /** In a sentence each, what costs the agent health now. */
    public static List<String> costs(Agent agent, Instant now, HealthPolicy policy) {
        Health health = of(agent, now, policy);
        List<String> costs = new ArrayList<>();
        if (health.regularity < 1) {
            costs.add(text(
                    "it has been silent for %d s, which costs health from %d s on",
                    Duration.between(agent.lastHeartbeat(), now).toSeconds(),
                    policy.heartbeatInterval().toSeconds()));
        }
        if (health.load < 1) {
            costs.add(text(
                    "%.0f %% of the processor and %.0f %% of the memory are in use, which costs health from %.0f %% on",
                    100 * agent.cpu(), 100 * agent.memory(), 100 * LOAD_KNEE));
        }
        if (health.results < 1) {
            costs.add(text(
                    "%.0f %% of its recent results were failures",
                    100 * agent.track().failureShareBy(now)));
        }
        if (health.status < 1) {
            costs.add("its status is " + agent.status().wireName());
        }
        return costs;
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    /** Until when the score stays as it is if nothing is heard of the agent; not after now while it moves already. */
    public static Instant steadyUntil(Agent agent, Instant now, HealthPolicy policy) {
        if (agent.track().failureShareBy(now) > 0) {
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

    /** What is left of health at a share of the processor or the memory in use, 0.0 to 1.0. */
    public static double loadFactor(double load) {
        double over = Math.max(0, load - LOAD_KNEE) / (1 - LOAD_KNEE);
        return 1 - (1 - WORST_LOAD_FACTOR) * over;
    }
}

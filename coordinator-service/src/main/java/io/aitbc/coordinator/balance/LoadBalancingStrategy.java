package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Requirements;
import java.util.Locale;
import java.util.random.RandomGenerator;

/** A way of choosing among eligible agents. The names are part of the published REST interface. */
public enum LoadBalancingStrategy {
    /**
     * The agent that holds the fewest unsettled assignments; of equals, the one with the smallest share of its capacity in use.
     * The rule is known from load balancers such as nginx ({@code least_conn}).
     */
    LEAST_CONNECTIONS,
    /** Each in turn. */
    ROUND_ROBIN,
    /**
     * Each in turn, as often as its weight says, evenly spread: stride scheduling (Waldspurger and Weihl, 1995), where each choice
     * moves an agent on by the inverse of its weight and the one least advanced is next.
     */
    WEIGHTED_ROUND_ROBIN,
    /** The agent with the most left, by processor, memory and capacity. */
    RESOURCE_BASED,
    /** The nearest, an agent of the wanted region before all others; by great-circle distance (haversine). */
    GEOGRAPHIC,
    /** Any, all equally likely. */
    RANDOM;

    /** @throws IllegalArgumentException naming the known strategies */
    public static LoadBalancingStrategy parse(String text) {
        for (LoadBalancingStrategy strategy : values()) {
            if (strategy.name().equalsIgnoreCase(text)) {
                return strategy;
            }
        }
        throw new IllegalArgumentException("Invalid strategy: " + text + " (one of "
                + String.join(
                        ", ",
                        java.util.Arrays.stream(values())
                                .map(LoadBalancingStrategy::wireName)
                                .toList()) + ")");
    }

    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether a wanted region is a preference, which this strategy sees to, instead of a condition. */
    public boolean prefersRegion() {
        return this == GEOGRAPHIC;
    }

    /** An empty selection for tasks with the same requirements. */
    public Selection select(Requirements requirements, RandomGenerator random) {
        return switch (this) {
            case LEAST_CONNECTIONS ->
                Ranking.by(candidate -> candidate.held()
                        + (double) candidate.held() / (candidate.agent().capacity() + 1.0));
            case ROUND_ROBIN -> Ranking.inTurn(candidate -> 1.0);
            case WEIGHTED_ROUND_ROBIN ->
                Ranking.inTurn(candidate -> candidate.agent().registration().weight());
            case RESOURCE_BASED -> Ranking.by(LoadBalancingStrategy::resourcesUsed);
            case GEOGRAPHIC -> Ranking.by(new Proximity(requirements));
            case RANDOM -> new Draw(random);
        };
    }

    private static double resourcesUsed(Candidate candidate) {
        double capacityUsed = (double) candidate.held() / candidate.agent().capacity();
        return 0.4 * candidate.agent().cpu() + 0.3 * candidate.agent().memory() + 0.3 * capacityUsed;
    }
}

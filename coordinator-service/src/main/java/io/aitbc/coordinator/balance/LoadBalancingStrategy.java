package io.aitbc.coordinator.balance;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/**
 * A way of choosing among eligible agents. The names are part of the published REST interface. A further one is a class, either a rank
 * or a {@link Selection}, and its name here.
 */
public enum LoadBalancingStrategy {
    /** The agent that holds the fewest unsettled assignments: {@link LeastConnections}. */
    LEAST_CONNECTIONS(random -> new Ranking(new LeastConnections())),
    /** Each in turn; the one that had its turn longest ago is next. As nginx does by default, and time-sharing since the 1960s. */
    ROUND_ROBIN(random -> new Ranking(candidate -> 0)),
    /** Each in turn, as often as its weight says: {@link WeightedTurns}. */
    WEIGHTED_ROUND_ROBIN(random -> new WeightedTurns()),
    /** The agent with the most left, by processor, memory and capacity: {@link ResourcesUsed}. */
    RESOURCE_BASED(random -> new Ranking(new ResourcesUsed())),
    /** The nearest, an agent of the wanted region before all others: {@link Nearest}. */
    GEOGRAPHIC(random -> new Nearest()),
    /** Any, all equally likely: {@link Draw}. */
    RANDOM(Draw::any),
    /** Of two drawn at random the one that holds less: {@link Draw}. */
    POWER_OF_TWO_CHOICES(random -> Draw.betterOfTwo(random, new LeastConnections())),
    /** The agent that is expected to be done first: {@link ResponseTime}. */
    LEAST_RESPONSE_TIME(random -> new Ranking(new ResponseTime())),
    /** The same agent for the same {@code affinity_key}, within bounds: {@link HashRing}. */
    CONSISTENT_HASH(random -> new HashRing());

    private final Function<RandomGenerator, Selection> selection;

    LoadBalancingStrategy(Function<RandomGenerator, Selection> selection) {
        this.selection = selection;
    }

    /** @throws IllegalArgumentException naming the known strategies */
    public static LoadBalancingStrategy parse(String text) {
        for (LoadBalancingStrategy strategy : values()) {
            if (strategy.name().equalsIgnoreCase(text)) {
                return strategy;
            }
        }
        throw new IllegalArgumentException("Invalid strategy: " + text + " (one of "
                + Arrays.stream(values()).map(LoadBalancingStrategy::wireName).collect(Collectors.joining(", ")) + ")");
    }

    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether a wanted region is a preference, which this strategy sees to, instead of a condition. */
    public boolean prefersRegion() {
        return this == GEOGRAPHIC;
    }

    /** An empty selection, for tasks that the same agents may serve. */
    public Selection select(RandomGenerator random) {
        return selection.apply(random);
    }
}

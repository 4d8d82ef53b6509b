package io.aitbc.coordinator.balance;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/**
 * A strategy for choosing among eligible agents. The names are part of the published REST interface. To add one, write a class,
 * either a rank or a {@link Selection}, and add its name here.
 */
public enum LoadBalancingStrategy {
    /** The agent with the fewest unsettled assignments: {@link LeastConnections}. */
    LEAST_CONNECTIONS(random -> new Ranking(new LeastConnections())),
    /** Each in turn, the one least recently chosen first. nginx's default; time-sharing systems have used it since the 1960s. */
    ROUND_ROBIN(random -> new Ranking(candidate -> 0)),
    /** Each in turn, in proportion to its weight: {@link WeightedRoundRobin}. */
    WEIGHTED_ROUND_ROBIN(random -> new WeightedRoundRobin()),
    /** The agent with the most free resources, by CPU, memory, capacity and what it declares: {@link ResourcesUsed}. */
    RESOURCE_BASED(random -> new Ranking(new ResourcesUsed())),
    /** The nearest agent; agents of the requested region before all others: {@link Nearest}. */
    GEOGRAPHIC(random -> new Nearest()),
    /** Uniformly at random: {@link RandomChoice}. */
    RANDOM(RandomChoice::uniform),
    /** The less loaded of two agents drawn at random: {@link RandomChoice}. */
    POWER_OF_TWO_CHOICES(random -> RandomChoice.betterOfTwo(random, new LeastConnections())),
    /** The agent with the shortest expected completion time: {@link ResponseTime}. */
    LEAST_RESPONSE_TIME(random -> new Ranking(new ResponseTime())),
    /** The same agent for the same {@code affinity_key}, within a load bound: {@link HashRing}. */
    CONSISTENT_HASH(random -> new HashRing()),
    /** The agent of which most is in use that can still take the task, so that others stay free for large ones: best fit, Kubernetes' {@code MostAllocated}. */
    BIN_PACK(random -> new Ranking(candidate -> -candidate.usedShare()));

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

    /** Whether a requested region is a preference that this strategy handles, rather than a condition. */
    public boolean prefersRegion() {
        return this == GEOGRAPHIC;
    }

    /** A new, empty selection for tasks with the same eligible agents. */
    public Selection select(RandomGenerator random) {
        return selection.apply(random);
    }
}

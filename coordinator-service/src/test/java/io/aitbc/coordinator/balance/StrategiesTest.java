package io.aitbc.coordinator.balance;

import static io.aitbc.coordinator.balance.LoadBalancingStrategy.GEOGRAPHIC;
import static io.aitbc.coordinator.balance.LoadBalancingStrategy.LEAST_CONNECTIONS;
import static io.aitbc.coordinator.balance.LoadBalancingStrategy.RANDOM;
import static io.aitbc.coordinator.balance.LoadBalancingStrategy.RESOURCE_BASED;
import static io.aitbc.coordinator.balance.LoadBalancingStrategy.ROUND_ROBIN;
import static io.aitbc.coordinator.balance.LoadBalancingStrategy.WEIGHTED_ROUND_ROBIN;
import static java.util.stream.Collectors.counting;
import static java.util.stream.Collectors.groupingBy;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import io.aitbc.contracts.Location;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.agent.AnAgent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class StrategiesTest {
    private static final Location PARIS = new Location(48.8566, 2.3522);

    static Stream<Arguments> choices() {
        return Stream.of(
                choice("none", LEAST_CONNECTIONS, null),
                choice(
                        "fewest held",
                        LEAST_CONNECTIONS,
                        "b",
                        agent("a").holds(2),
                        agent("b").holds(1)),
                choice(
                        "fewest, not the smallest share",
                        LEAST_CONNECTIONS,
                        "b",
                        agent("a").holds(2).capacity(1000),
                        agent("b").holds(1).capacity(2)),
                choice(
                        "of equals the smallest share",
                        LEAST_CONNECTIONS,
                        "b",
                        agent("a").holds(3).capacity(4),
                        agent("b").holds(3).capacity(8)),
                choice(
                        "most left",
                        RESOURCE_BASED,
                        "b",
                        agent("a").load(0.5, 0.5),
                        agent("b").load(0.2, 0.2),
                        agent("c").load(0.4, 0.1)),
                choice(
                        "processor before memory",
                        RESOURCE_BASED,
                        "b",
                        agent("a").load(0.5, 0.4),
                        agent("b").load(0.4, 0.5)),
                choice(
                        "capacity counts too",
                        RESOURCE_BASED,
                        "b",
                        agent("a").capacity(10).holds(9),
                        agent("b").capacity(10).holds(1).load(0.3, 0.3)),
                choice(
                        "load in percent",
                        RESOURCE_BASED,
                        "b",
                        agent("a").load(0.5, 0.5),
                        agent("b").load(20, 20)),
                choice(
                        "nearest",
                        GEOGRAPHIC,
                        near(null, PARIS),
                        "london",
                        agent("new-york").location(40.7128, -74.0060),
                        agent("london").location(51.5074, -0.1278)),
                choice(
                        "nearest over the date line",
                        GEOGRAPHIC,
                        near(null, new Location(-18.1, 178.4)),
                        "apia",
                        agent("sydney").location(-33.8688, 151.2093),
                        agent("apia").location(-13.8, -171.8)),
                choice(
                        "far in the region before near outside it",
                        GEOGRAPHIC,
                        near("eu", PARIS),
                        "athens",
                        agent("london").location(51.5, -0.1).region("uk"),
                        agent("athens").location(37.9, 23.7).region("eu")),
                choice(
                        "nowhere in the region before near outside it",
                        GEOGRAPHIC,
                        near("eu", PARIS),
                        "nowhere",
                        agent("london").location(51.5, -0.1).region("uk"),
                        agent("nowhere").region("eu").capacity(2).holds(1)),
                choice(
                        "outside when nobody is inside",
                        GEOGRAPHIC,
                        near("eu", PARIS),
                        "london",
                        agent("new-york").location(40.7, -74.0).region("us"),
                        agent("london").location(51.5, -0.1)),
                choice(
                        "the antipodes before nowhere",
                        GEOGRAPHIC,
                        near(null, PARIS),
                        "z-antipodes",
                        agent("a-nowhere"),
                        agent("z-antipodes").location(-48.8566, -177.6478)),
                choice(
                        "of equally near the less loaded",
                        GEOGRAPHIC,
                        near(null, PARIS),
                        "b",
                        agent("a").location(50, 3).holds(2),
                        agent("b").location(50, 3).holds(1)),
                choice(
                        "without a wish the less loaded",
                        GEOGRAPHIC,
                        "b",
                        agent("a").holds(2),
                        agent("b").holds(1)),
                choice("the only one", RANDOM, "a", agent("a").holds(99)),
                choice("the only one", ROUND_ROBIN, "a", agent("a").holds(99)));
    }

    @ParameterizedTest(name = "{1}: {0}")
    @MethodSource("choices")
    void chooses(
            String why,
            LoadBalancingStrategy strategy,
            Requirements wanted,
            @Nullable String expected,
            List<AnAgent> agents) {
        Selection selection = selection(strategy, wanted, agents.toArray(AnAgent[]::new));

        Candidate chosen = selection.next();

        assertThat(chosen == null ? null : chosen.id()).isEqualTo(expected);
        assertThat(selection.isEmpty()).isEqualTo(agents.isEmpty());
    }

    @ParameterizedTest
    @EnumSource
    void neverChoosesWhoWasRemovedOrIsFull(LoadBalancingStrategy strategy) {
        for (long seed = 0; seed < 20; seed++) {
            Random random = new Random(seed);
            Selection selection = strategy.select(near("eu", PARIS), random);
            List<Candidate> agents = IntStream.range(0, 12)
                    .mapToObj(i -> new Candidate(agent("a" + i)
                            .capacity(1 + random.nextInt(5))
                            .weight(1 + random.nextInt(9))
                            .location(random.nextInt(90), random.nextInt(180))
                            .build()))
                    .toList();
            Map<String, Candidate> open = new HashMap<>();
            for (int step = 0; step < 1_000; step++) {
                Candidate any = agents.get(random.nextInt(agents.size()));
                if (random.nextInt(3) == 0) {
                    IntStream.range(0, any.agent().capacity()).forEach(i -> any.answered());
                    any.counted(random.nextInt(any.agent().capacity()));
                    selection.put(any);
                    open.put(any.id(), any);
                } else if (random.nextInt(5) == 0) {
                    selection.remove(any);
                    open.remove(any.id());
                } else {
                    Candidate chosen = selection.next();
                    assertThat(selection.isEmpty()).isEqualTo(open.isEmpty());
                    assertThat(chosen == null).isEqualTo(open.isEmpty());
                    if (chosen != null) {
                        assertThat(open).as("seed %d, step %d", seed, step).containsEntry(chosen.id(), chosen);
                        assertThat(chosen.hasRoom())
                                .as("seed %d, step %d", seed, step)
                                .isTrue();
                        place(chosen, selection);
                        if (!chosen.hasRoom()) {
                            open.remove(chosen.id());
                        }
                    }
                }
            }
        }
    }

    @Test
    void roundRobinTakesEachInTurn() {
        Selection selection =
                selection(ROUND_ROBIN, Requirements.NONE, agent("a"), agent("b").weight(9), agent("c"));

        assertThat(choices(selection, 9)).containsExactly("a", "b", "c", "a", "b", "c", "a", "b", "c");
    }

    @Test
    void whoWasAwayDoesNotCatchUpOnMissedTurns() {
        Selection selection = selection(ROUND_ROBIN, Requirements.NONE, agent("a"), agent("b"));
        Candidate c = new Candidate(agent("c").build());
        selection.put(c);
        selection.remove(c);
        choices(selection, 100);

        selection.put(c);

        assertThat(counts(choices(selection, 9))).isEqualTo(Map.of("a", 3L, "b", 3L, "c", 3L));
    }

    @Test
    void whoComesNewWaitsItsTurn() {
        Selection selection = selection(ROUND_ROBIN, Requirements.NONE, agent("b"), agent("c"));
        choices(selection, 101);

        selection.put(new Candidate(agent("a").build()));

        assertThat(choices(selection, 3)).containsExactly("c", "a", "b");
    }

    @Test
    void weightedRoundRobinIsProportionalAndEvenlySpread() {
        Selection selection = selection(
                WEIGHTED_ROUND_ROBIN,
                Requirements.NONE,
                agent("a").weight(5),
                agent("b").weight(3),
                agent("c").weight(2));

        List<String> choices = choices(selection, 1_000);

        Map<String, Double> weights = Map.of("a", 0.5, "b", 0.3, "c", 0.2);
        for (int until = 1; until <= choices.size(); until++) {
            Map<String, Long> counts = counts(choices.subList(0, until));
            for (String id : weights.keySet()) {
                assertThat((double) counts.getOrDefault(id, 0L)).isCloseTo(until * weights.get(id), within(1.5));
            }
        }
    }

    @Test
    void aNewWeightCountsFromTheNextTurnOn() {
        Selection selection = WEIGHTED_ROUND_ROBIN.select(Requirements.NONE, new Random(1));
        Candidate a = new Candidate(agent("a").build());
        selection.put(a);
        selection.put(new Candidate(agent("b").build()));
        choices(selection, 10);

        a.update(agent("a").weight(4).build());
        selection.put(a);

        assertThat(counts(choices(selection, 1_000)).get("a")).isCloseTo(800, within(2L));
    }

    @Test
    void randomIsUniform() {
        Selection selection = RANDOM.select(Requirements.NONE, new Random(42));
        IntStream.range(0, 12)
                .mapToObj(i -> new Candidate(agent("a" + i).build()))
                .forEach(selection::put);
        selection.remove(new Candidate(agent("a3").build()));
        selection.remove(new Candidate(agent("a11").build()));

        Map<String, Long> counts = counts(choices(selection, 10_000));

        double chiSquare = counts.values().stream()
                .mapToDouble(count -> Math.pow(count - 1_000, 2) / 1_000)
                .sum();
        assertThat(counts).hasSize(10).doesNotContainKeys("a3", "a11");
        assertThat(chiSquare).as("9 degrees of freedom, p = 0.001").isLessThan(27.9);
    }

    @Test
    void leastConnectionsFillsAllAlike() {
        List<Candidate> agents = Stream.of(
                        agent("a").holds(7),
                        agent("b"),
                        agent("c").holds(3),
                        agent("d").capacity(8))
                .map(agent -> new Candidate(agent.build()))
                .toList();
        Selection selection = LEAST_CONNECTIONS.select(Requirements.NONE, new Random(1));
        agents.forEach(selection::put);

        IntStream.range(0, 30).forEach(i -> place(selection.next(), selection));

        assertThat(agents).extracting(Candidate::held).containsExactly(11, 11, 10, 8);
    }

    @Test
    void resourceBasedFillsByShareOfCapacity() {
        Candidate small = new Candidate(agent("small").capacity(10).build());
        Candidate large = new Candidate(agent("large").capacity(90).build());
        Selection selection = RESOURCE_BASED.select(Requirements.NONE, new Random(1));
        selection.put(small);
        selection.put(large);

        IntStream.range(0, 50).forEach(i -> place(selection.next(), selection));

        assertThat(small.held()).isEqualTo(5);
        assertThat(large.held()).isEqualTo(45);
    }

    @Test
    void theNearestIsFilledBeforeTheNext() {
        Selection selection = selection(
                GEOGRAPHIC,
                near(null, PARIS),
                agent("new-york").location(40.7128, -74.0060),
                agent("lyon").location(45.7640, 4.8357).capacity(3),
                agent("london").location(51.5074, -0.1278).capacity(2));

        List<String> choices = IntStream.range(0, 6)
                .mapToObj(i -> place(selection.next(), selection))
                .toList();

        assertThat(choices).containsExactly("london", "london", "lyon", "lyon", "lyon", "new-york");
    }

    @ParameterizedTest(name = "{0}: {5} km")
    @CsvSource({
        "London to Paris,     51.5074,  -0.1278,  48.8566,    2.3522,   344",
        "New York to London,  40.7128, -74.0060,  51.5074,   -0.1278,  5570",
        "Tokyo to Sydney,     35.6762, 139.6503, -33.8688,  151.2093,  7823",
        "Suva to Apia,       -18.1416, 178.4419, -13.8333, -171.7667,  1151",
        "pole to pole,        90,        0,       -90,       50,      20015",
        "antipodes,            0,        0,         0,      180,      20015",
        "nowhere to go,       48.8566,   2.3522,  48.8566,   2.3522,      0"
    })
    void distancesAreThoseOfTheAtlas(String way, double lat1, double lon1, double lat2, double lon2, double km) {
        Location from = new Location(lat1, lon1);
        Location to = new Location(lat2, lon2);

        assertThat(Proximity.kilometres(from, to)).isCloseTo(km, within(0.5 + km * 0.002));
        assertThat(Proximity.kilometres(to, from)).isCloseTo(Proximity.kilometres(from, to), within(1e-6));
    }

    @ParameterizedTest
    @EnumSource
    void namesAreReadInAnyCase(LoadBalancingStrategy strategy) {
        assertThat(LoadBalancingStrategy.parse(strategy.wireName())).isEqualTo(strategy);
        assertThat(LoadBalancingStrategy.parse(strategy.name())).isEqualTo(strategy);
    }

    @Test
    void anUnknownNameIsAnsweredWithTheKnown() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LoadBalancingStrategy.parse("best"))
                .withMessage("Invalid strategy: best (one of least_connections, round_robin, weighted_round_robin,"
                        + " resource_based, geographic, random)");
    }

    private static Arguments choice(
            String why, LoadBalancingStrategy strategy, @Nullable String expected, AnAgent... agents) {
        return choice(why, strategy, Requirements.NONE, expected, agents);
    }

    private static Arguments choice(
            String why,
            LoadBalancingStrategy strategy,
            Requirements wanted,
            @Nullable String expected,
            AnAgent... agents) {
        return Arguments.of(why, strategy, wanted, expected, List.of(agents));
    }

    private static AnAgent agent(String id) {
        return AnAgent.named(id);
    }

    private static Requirements near(@Nullable String region, @Nullable Location location) {
        return new Requirements(null, List.of(), List.of(), List.of(), null, region, location, null, Map.of());
    }

    private static Selection selection(LoadBalancingStrategy strategy, Requirements wanted, AnAgent... agents) {
        Selection selection = strategy.select(wanted, new Random(1));
        Arrays.stream(agents).map(agent -> new Candidate(agent.build())).forEach(selection::put);
        return selection;
    }

    /** Gives the chosen one a task, as the matcher does. */
    private static String place(Candidate chosen, Selection selection) {
        chosen.placed();
        if (chosen.hasRoom()) {
            selection.put(chosen);
        } else {
            selection.remove(chosen);
        }
        return chosen.id();
    }

    private static List<String> choices(Selection selection, int count) {
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            ids.add(selection.next().id());
        }
        return ids;
    }

    private static Map<String, Long> counts(Collection<String> ids) {
        return ids.stream().collect(groupingBy(id -> id, counting()));
    }
}

package io.aitbc.coordinator.match;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Fairness keys share agents in proportion to their weights, within a priority and within the aged share. */
class FairnessTest {
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9);
    /** Tasks of one key that may be placed too early or too late. */
    private static final double MAX_ERROR = 2.5;

    private final Matcher matcher = new Matcher(
            HEALTH, new Aging(Duration.ofSeconds(60), 0.1), LoadBalancingStrategy.LEAST_CONNECTIONS, new Random(1));
    private final Map<String, Integer> held = new HashMap<>();
    private long nextOffset;

    static LongStream seeds() {
        return LongStream.rangeClosed(1, 40);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
        # waiting, key:tasks*weight | placed
        a:9 b:3                     | a b a b a b a a a a a a
        a:6*2 b:3                   | a b a a b a a b a
        :4 a:4                      | - a - a - a - a
        a:3 b:3 c:3                 | a b c a b c a b c
        a:8*1000 b:1                | a b a a a a a a a
        """)
    void keysTakeTurns(String waiting, String placed) {
        agent("x", 1);
        for (String given : waiting.split(" ")) {
            String[] parts = given.split("[:*]");
            addMany(Integer.parseInt(parts[1]), parts[0], parts.length > 2 ? Double.parseDouble(parts[2]) : 1);
        }

        assertThat(placeOneByOne(placed.split(" ").length)).containsExactly(placed.split(" "));
    }

    @Test
    void aFewTasksNeedNotWaitForManyOfAnotherKey() {
        agent("x", 1);
        addMany(50_000, "a", 1);
        placeOneByOne(100);
        addMany(10, "b", 1);

        assertThat(placeOneByOne(20)).filteredOn("b"::equals).hasSize(10);
    }

    @Test
    void anIdleKeySavesUpNothing() {
        agent("x", 1);
        addMany(2_000, "a", 1);
        addMany(1, "b", 1);
        placeOneByOne(1_000);
        addMany(100, "b", 1);

        assertThat(placeOneByOne(40)).filteredOn("b"::equals).hasSize(20);
    }

    /** Tasks of other kinds of agents, in between, whatever waits and in which order it comes. */
    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void sharesAreInProportionToWeights(long seed) {
        Random random = new Random(seed);
        agent("x", 1);
        int keys = 1 + random.nextInt(30);
        double[] weights = new double[keys];
        List<Integer> order = new ArrayList<>();
        for (int key = 0; key < keys; key++) {
            weights[key] = random.nextBoolean() ? 1 + random.nextInt(10) : 0.1 + random.nextDouble();
            // Some wait in few large groups, others in many small ones.
            for (int i = 0; i < 1_000 + random.nextInt(1_000); i++) {
                order.add(key);
            }
        }
        Collections.shuffle(order, random);
        int kinds = 1 + random.nextInt(4);
        for (int key : order) {
            ATask task = ATask.named("t" + nextOffset).key("k" + key).weight(weights[key]);
            int kind = random.nextInt(kinds);
            add(kind == 0 ? task : task.requires("c" + kind));
        }

        Map<String, Integer> counts = counts(placeOneByOne(1_000));

        double sum = Arrays.stream(weights).sum();
        for (int key = 0; key < keys; key++) {
            assertThat((double) counts.getOrDefault("k" + key, 0))
                    .as("key %d of weight %s", key, weights[key])
                    .isBetween(1_000 * weights[key] / sum - MAX_ERROR, 1_000 * weights[key] / sum + MAX_ERROR);
        }
    }

    /** However tasks come and go, and whatever the registry refuses. */
    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void noAgentIsIdleWhileATaskWaits(long seed) {
        Random random = new Random(seed);
        int agents = 1 + random.nextInt(5);
        IntStream.range(0, agents).forEach(i -> agent("x" + i, 1 + random.nextInt(3)));
        int left = 0;
        for (int step = 0; step < 500; step++) {
            for (int i = random.nextInt(8); i > 0; i--) {
                ATask task = ATask.named("t" + nextOffset)
                        .priority(Priority.values()[random.nextInt(5)])
                        .waiting(random.nextInt(400))
                        .weight(0.5 + random.nextInt(3));
                add(random.nextInt(4) == 0 ? task : task.key("k" + random.nextInt(100)));
                left++;
            }
            List<Placement> placements = matcher.match(NOW, 1_000);
            left -= placements.size();
            assertThat(matcher.backlog().size()).isEqualTo(left);
            if (placements.isEmpty()) {
                assertThat(left == 0 || matcher.agents().all().stream().noneMatch(one -> one.candidate.hasRoom()))
                        .isTrue();
            }
            for (Placement placement : placements) {
                if (random.nextInt(10) == 0) {
                    matcher.refund(placement);
                    matcher.refused(placement, held.getOrDefault(placement.agentId(), 0));
                    matcher.backlog().add(placement.waiting(), NOW);
                    left++;
                } else {
                    matcher.answered(placement, held.merge(placement.agentId(), 1, Integer::sum), true);
                }
            }
            held.keySet().stream().filter(id -> random.nextBoolean()).toList().forEach(id -> {
                held.put(id, random.nextInt(held.get(id) + 1));
                matcher.agents().updateHeldCount(id, held.get(id));
            });
        }
    }

    @Test
    void aRefusedPlacementIsNotCharged() {
        agent("x", 1);
        addMany(20, "a", 1);
        addMany(20, "b", 1);
        for (int i = 0; i < 5; i++) {
            Placement first = matcher.match(NOW, 1).get(0);
            matcher.refund(first);
            matcher.refused(first, 0);
            matcher.backlog().add(first.waiting(), NOW);
        }

        assertThat(counts(placeOneByOne(20))).containsEntry("a", 10).containsEntry("b", 10);
    }

    @Test
    void weightsOfOperatorsTakePrecedence() {
        agent("x", 1);
        matcher.setWeights(Map.of("a", 3.0));
        addMany(100, "a", 100);
        addMany(100, "b", 1);

        assertThat(counts(placeOneByOne(40))).containsEntry("a", 30).containsEntry("b", 10);

        matcher.setWeights(Map.of());

        assertThat(counts(placeOneByOne(50)).get("a")).isGreaterThan(45);
    }

    /** What others got on agents it could not use is not made up for. */
    @Test
    void aKeyThatWaitedForOtherAgentsGetsNoMoreThanItsShareAfterwards() {
        agent("x", 1);
        addMany(2_000, "a", 1);
        IntStream.range(0, 200).forEach(i -> add(task("b").requires("hash")));
        placeOneByOne(1_000);
        matcher.agents()
                .addOrUpdate(AnAgent.named("x").capacity(1).capabilities("hash").build(), NOW);

        assertThat(counts(placeOneByOne(40)).get("b")).isBetween(20, 22);
    }

    /** A key that can use one of two agents gets all of it, if the other key has as much from the other. */
    @Test
    void aKeyWithFewerAgentsIsNextOnThose() {
        agent("x", 1);
        matcher.agents()
                .addOrUpdate(AnAgent.named("y").capacity(1).capabilities("hash").build(), NOW);
        addMany(1_000, "a", 1);
        IntStream.range(0, 1_000).forEach(i -> add(task("b").requires("hash")));

        Map<String, Integer> counts = new HashMap<>();
        for (int i = 0; i < 200; i++) {
            for (Placement placement : matcher.match(NOW, 10)) {
                counts.merge(String.valueOf(placement.waiting().task().fairnessKey()), 1, Integer::sum);
                matcher.answered(placement, 1, true);
                matcher.agents().updateHeldCount(placement.agentId(), 0);
            }
        }

        assertThat(counts.get("b")).isBetween(195, 205);
    }

    @Test
    void theAgedShareIsShared() {
        agent("x", 1);
        IntStream.range(0, 3_000)
                .forEach(i -> add(ATask.named("u" + nextOffset).key("u").priority(Priority.URGENT)));
        IntStream.range(0, 500)
                .forEach(i -> add(task("a").priority(Priority.LOW).waiting(900)));
        IntStream.range(0, 500)
                .forEach(i -> add(task("b").priority(Priority.LOW).waiting(600)));
        IntStream.range(0, 500)
                .forEach(i -> add(task("c").priority(Priority.LOW).waiting(10)));
        IntStream.range(0, 500)
                .forEach(i -> add(task("d").priority(Priority.NORMAL).waiting(500)));

        Map<String, Integer> counts = counts(placeOneByOne(1_200));

        assertThat(counts).containsEntry("u", 1_080).doesNotContainKey("c");
        assertThat(counts.get("a")).isBetween(39, 41);
        assertThat(counts.get("b")).isBetween(39, 41);
        assertThat(counts.get("d")).isBetween(39, 41);
    }

    @Test
    void withinAKeyTheLongestWaitingIsNextInTheAgedShareToo() {
        agent("x", 1);
        IntStream.range(0, 100)
                .forEach(i -> add(ATask.named("u" + nextOffset).key("u").priority(Priority.URGENT)));
        add(ATask.named("younger").key("a").priority(Priority.LOW).waiting(500));
        add(ATask.named("oldest").key("a").priority(Priority.NORMAL).waiting(900));
        add(ATask.named("old").key("a").priority(Priority.LOW).waiting(700));
        List<String> placed = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            placeOne(placement -> placed.add(placement.waiting().id()));
        }

        assertThat(placed).filteredOn(id -> !id.startsWith("u")).containsExactly("oldest", "old", "younger");
    }

    /** As the payloads of most tasks are not in memory, the next of each key have to be requested, not those of the key with the most. */
    @Test
    void payloadsOfTheKeysWhoseTurnComesAreWanted() {
        Matcher small = new Matcher(
                HEALTH, new Aging(Duration.ZERO, 0.1), LoadBalancingStrategy.LEAST_CONNECTIONS, new Random(1), 100_000);
        small.agents().addOrUpdate(AnAgent.named("x").capacity(1).build(), NOW);
        Map<Position, WaitingTask> log = new HashMap<>();
        for (int i = 0; i < 20_000; i++) {
            WaitingTask task = ATask.named("t" + i)
                    .key(i < 19_000 ? "a" : "k" + i % 100)
                    .at(0, i)
                    .build();
            log.put(task.position(), task);
            small.backlog().add(TaskSummary.of(task), NOW);
        }
        Map<String, Integer> counts = new HashMap<>();
        for (int i = 0; i < 1_010; i++) {
            for (BacklogEntry entry : small.backlog().wanted(Set.of())) {
                small.backlog().accept(entry, log.get(entry.position()));
            }
            assertThat(small.backlog().payloadHeap()).isLessThan(200_000);
            Placement placement = small.match(NOW, 1).get(0);
            small.answered(placement, 1, true);
            small.agents().updateHeldCount("x", 0);
            counts.merge(String.valueOf(placement.waiting().task().fairnessKey()), 1, Integer::sum);
        }

        assertThat(counts)
                .hasSize(101)
                .allSatisfy((key, count) -> assertThat(count).isBetween(9, 11));
    }

    /**
     * Two lanes share agents, whichever of them learns of a free slot first, whatever waits where, and however long tasks take. They exchange
     * reports four times a second.
     */
    @ParameterizedTest(name = "{0} and {1}, the first lane is first in {2} % of cases, tasks of {3} ms, {4} slots")
    @CsvSource(delimiter = '|', textBlock = """
        # one lane  | other lane      | % | ms    | slots | shares
        a*1         | b*1             | 50 | 20    | 1   | a 500, b 500
        a*1         | b*3             | 50 | 20    | 1   | a 250, b 750
        a*1         | b*3             | 95 | 20    | 1   | a 250, b 750
        a*1         | b*3             | 90 | 500   | 1   | a 250, b 750
        a*1         | b*3             | 90 | 5000  | 1   | a 250, b 750
        a*1         | b*3             | 10 | 30000 | 4   | a 250, b 750
        a*1         | b*3             | 90 | 2000  | 4   | a 250, b 750
        a*3         | b*1             | 5  | 20    | 1   | a 750, b 250
        a*1 b*1     | a*1             | 50 | 20    | 1   | a 500, b 500
        a*1 b*1     | a*1             | 5  | 1000  | 1   | a 500, b 500
        a*1 b*2     | a*1 c*1         | 70 | 20    | 1   | a 250, b 500, c 250
        a*1 b*1     | a*1 b*1         | 90 | 20    | 1   | a 500, b 500
        a*9 b*1     | c*5             | 30 | 20    | 1   | a 600, b 67, c 333
        a*9 b*1     | c*5             | 30 | 3000  | 10  | a 600, b 67, c 333
        """)
    void lanesShareAgents(String one, String other, int firstPercent, int taskMs, int slots, String shares) {
        List<Matcher> lanes = List.of(lane(slots, List.of(one.split(" "))), lane(slots, List.of(other.split(" "))));

        Map<String, Integer> counts = share(lanes, slots, taskMs, firstPercent, 1_000);

        for (String share : shares.split(", ")) {
            int expected = Integer.parseInt(share.substring(2));
            assertThat(counts.get(share.substring(0, 1)))
                    .as(share + " of " + counts)
                    .isBetween(expected - 20, expected + 20);
        }
    }

    /** Nearly the same keys, or quite others, many of them. */
    @ParameterizedTest(name = "{0} keys in one lane, {1} in the other, {2} in both, tasks of {3} ms, {4} slots")
    @CsvSource({
        "10, 10, 0, 50, 1",
        "100, 100, 0, 100, 20",
        "41, 40, 40, 500, 10",
        "100, 20, 0, 1000, 20",
        "30, 31, 30, 20, 2"
    })
    void lanesWithManyKeysShareAgents(int inOne, int inOther, int inBoth, int taskMs, int slots) {
        List<String> keys = IntStream.range(0, inOne + inOther - inBoth)
                .mapToObj(i -> "k" + i + "*1")
                .toList();
        List<Matcher> lanes =
                List.of(lane(slots, keys.subList(0, inOne)), lane(slots, keys.subList(inOne - inBoth, keys.size())));

        Map<String, Integer> counts = share(lanes, slots, taskMs, 70, 2_000);

        int ofFirst = 0;
        for (String key : keys.subList(0, inOne - inBoth)) {
            ofFirst += counts.getOrDefault(key.substring(0, key.length() - 2), 0);
        }
        assertThat(ofFirst / 2_000.0)
                .isBetween(
                        (inOne - inBoth) / (double) keys.size() - 0.02, (inOne - inBoth) / (double) keys.size() + 0.02);
    }

    /** Has agents of so many slots work until so many tasks have been placed, and checks that they are busy nearly all the time. */
    private static Map<String, Integer> share(List<Matcher> lanes, int slots, int taskMs, int firstPercent, int tasks) {
        Random random = new Random(7);
        Map<String, Integer> counts = new HashMap<>();
        PriorityQueue<Instant> ends = new PriorityQueue<>();
        Instant now = NOW;
        Instant nextReport = NOW;
        int placed = 0;
        while (placed < tasks) {
            now = now.plusMillis(5);
            if (!now.isBefore(nextReport)) {
                exchange(lanes, now);
                nextReport = now.plusMillis(250);
            }
            while (!ends.isEmpty() && !ends.peek().isAfter(now)) {
                ends.remove();
            }
            int busy = ends.size();
            lanes.forEach(lane -> lane.agents().updateHeldCount("x", busy));
            int first = random.nextInt(100) < firstPercent ? 0 : 1;
            for (int turn = 0; turn < 2; turn++) {
                Matcher lane = lanes.get(turn == 0 ? first : 1 - first);
                for (Placement placement : lane.match(now, 100)) {
                    if (ends.size() == slots) {
                        // The other lane was faster; this one does not know yet.
                        lane.refund(placement);
                        lane.refused(placement, slots);
                        lane.backlog().add(placement.waiting(), NOW);
                        continue;
                    }
                    ends.add(now.plusMillis(taskMs / 2 + random.nextInt(taskMs)));
                    counts.merge(String.valueOf(placement.waiting().task().fairnessKey()), 1, Integer::sum);
                    placed++;
                    lane.answered(placement, ends.size(), true);
                }
            }
        }
        double needed = tasks * (double) taskMs / slots;
        assertThat(Duration.between(NOW, now).toMillis())
                .as("as long as %s ms of work on %s slots take", needed, slots)
                .isLessThan((long) (1.15 * needed + 1_000 + 10.0 * tasks / slots));
        return counts;
    }

    /** With the same keys nothing is yielded, so that lanes drift apart; none owes the other anything once their keys differ. */
    @ParameterizedTest
    @CsvSource({"a, 100", "b, 84"})
    void lanesWithTheSameKeysSaveUpNothing(String keyOfOther, double progress) {
        LaneBalance lane = new LaneBalance();
        FairClock.Share share = new FairClock().acquire("a");
        lane.report(3, List.of(share), NOW);

        lane.setOthers(Map.of("other", new LaneTime(3, 100, 90, 1, Set.of(keyOfOther.hashCode()))), NOW);

        assertThat(lane.report(3, List.of(share), NOW).time()).isEqualTo(progress);
    }

    /** A lane that starts later is not behind one that has placed many tasks before. */
    @Test
    void aLaneThatJoinsHasSavedUpNothing() {
        List<Matcher> lanes = List.of(lane(1, List.of("a*1")), lane(1, List.of("b*1")));
        Instant now = NOW;
        lanes.get(1).agents().updateHeldCount("x", 1);
        for (int i = 0; i < 1_000; i++) {
            now = now.plusMillis(20);
            if (i % 12 == 0) {
                lanes.get(0).setRemoteWants(Map.of("other", List.of(new Want(Requirements.NONE, 3))));
                lanes.get(0).laneTimes(lanes.get(0).wants(now, 20), now);
            }
            placeOne(lanes.get(0), now, placement -> {});
        }
        exchange(lanes, now);
        exchange(lanes, now.plusMillis(250));

        int placed = 0;
        for (int i = 0; i < 20; i++) {
            placed += placeOne(lanes.get(0), now.plusMillis(250), placement -> {});
        }

        assertThat(placed).isGreaterThanOrEqualTo(4);
    }

    /** Tasks for agents that the other lane does not want, and tasks that no agent can take, do not count. */
    @Test
    void onlyWhatCompetesCountsBetweenLanes() {
        List<Matcher> lanes = List.of(lane(1, List.of("a*1", "b*1")), lane(1, List.of("c*1")));
        for (int i = 0; i < 100; i++) {
            lanes.get(1)
                    .backlog()
                    .add(
                            ATask.named("n" + i)
                                    .key("a")
                                    .requires("none-has-it")
                                    .at(1, i)
                                    .build(),
                            NOW);
        }

        Map<String, Integer> counts = share(lanes, 1, 20, 50, 900);

        for (String key : List.of("a", "b", "c")) {
            assertThat(counts.get(key)).as("of %s", counts).isBetween(280, 320);
        }
    }

    private static void exchange(List<Matcher> lanes, Instant now) {
        List<List<Want>> wants = lanes.stream().map(lane -> lane.wants(now, 20)).toList();
        List<List<LaneTime>> times = IntStream.range(0, 2)
                .mapToObj(i -> lanes.get(i).laneTimes(wants.get(i), now))
                .toList();
        for (int i = 0; i < 2; i++) {
            lanes.get(i).setRemoteWants(Map.of("other", wants.get(1 - i)));
            lanes.get(i).setLaneTimes(Map.of("other", times.get(1 - i)), now);
        }
    }

    /** A lane with an agent of so many slots, and many tasks of these keys. */
    private static Matcher lane(int slots, List<String> keys) {
        Matcher lane = new Matcher(
                HEALTH, new Aging(Duration.ZERO, 0.1), LoadBalancingStrategy.LEAST_CONNECTIONS, new Random(1));
        lane.agents().addOrUpdate(AnAgent.named("x").capacity(slots).build(), NOW);
        long offset = 0;
        for (String given : keys) {
            String[] parts = given.split("\\*");
            for (int i = 0; i < Math.max(200, 2_000 / keys.size()); i++) {
                lane.backlog()
                        .add(
                                ATask.named("t" + offset)
                                        .key(parts[0])
                                        .weight(Double.parseDouble(parts[1]))
                                        .at(0, offset++)
                                        .build(),
                                NOW);
            }
        }
        return lane;
    }

    /** What is remembered of keys that have no tasks does not grow, whether others wait or not. */
    @ParameterizedTest
    @CsvSource({"URGENT, false", "URGENT, true", "LOW, false", "LOW, true"})
    void keysWithoutTasksAreForgotten(Priority priority, boolean othersWait) {
        agent("x", 1);
        if (othersWait) {
            IntStream.range(0, 20_000).forEach(i -> add(task("a").priority(priority)));
        }
        for (int i = 0; i < 5_000; i++) {
            add(task("k" + i).priority(priority).waiting(i % 2 * 1_000));
            placeOneByOne(othersWait ? 3 : 1);
        }

        assertThat(matcher.rememberedKeys()).isLessThan(2_000);
    }

    /** Also a key that has had more than its share is next again some time, however many keys come with a first task. */
    @Test
    void newKeysDoNotKeepOthersWaiting() {
        agent("x", 1);
        addMany(5, "a", 1);
        List<String> placed = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            add(task("n" + 2 * i));
            add(task("n" + (2 * i + 1)));
            placed.addAll(placeOneByOne(1));
        }

        assertThat(placed).filteredOn("a"::equals).hasSizeGreaterThan(1);
    }

    @Test
    void aRefusedAgedPlacementIsNotCharged() {
        agent("x", 1);
        IntStream.range(0, 2_000)
                .forEach(i -> add(ATask.named("u" + nextOffset).key("u").priority(Priority.URGENT)));
        IntStream.range(0, 200)
                .forEach(i -> add(task("a").priority(Priority.LOW).waiting(900)));
        IntStream.range(0, 200)
                .forEach(i -> add(task("b").priority(Priority.LOW).waiting(900)));
        Map<String, Integer> counts = new HashMap<>();
        for (int i = 0; i < 1_000; i++) {
            Placement placement = matcher.match(NOW, 1).get(0);
            String key = String.valueOf(placement.waiting().task().fairnessKey());
            if (key.equals("a") && i % 3 > 0) {
                matcher.refund(placement);
                matcher.refused(placement, 0);
                matcher.backlog().add(placement.waiting(), NOW);
            } else {
                matcher.answered(placement, 1, true);
                matcher.agents().updateHeldCount("x", 0);
                counts.merge(key, 1, Integer::sum);
            }
        }

        assertThat(counts.get("a") - counts.get("b")).as("of %s", counts).isBetween(-2, 2);
    }

    /** A key that was throttled gets its new share at once. */
    @Test
    void anotherWeightAppliesToWhatHasBeenCharged() {
        agent("x", 1);
        addMany(200, "a", 1);
        addMany(2_000, "b", 1);
        matcher.setWeights(Map.of("a", 0.001));
        placeOneByOne(500);
        matcher.setWeights(Map.of("a", 1.0));

        assertThat(counts(placeOneByOne(20)).get("a")).isBetween(8, 12);
    }

    @Test
    void tagsAreReducedBeforeTheyLosePrecision() {
        agent("x", 1);
        addMany(20_000, "a", 0.001);
        addMany(5, "z", 0.001);
        matcher.setWeights(Map.of("z", 1e-9));
        placeOneByOne(200);
        matcher.setWeights(Map.of());
        addMany(500, "b", 1);
        addMany(500, "c", 3);

        Map<String, Integer> counts = counts(placeOneByOne(400));

        assertThat(counts.get("c")).as("of %s", counts).isBetween(295, 305);
    }

    private void agent(String id, int capacity) {
        matcher.agents()
                .addOrUpdate(
                        AnAgent.named(id)
                                .capacity(capacity)
                                .capabilities("c1", "c2", "c3")
                                .build(),
                        NOW);
    }

    private ATask task(String key) {
        return ATask.named("t" + nextOffset).key(key);
    }

    private void addMany(int count, String key, double weight) {
        for (int i = 0; i < count; i++) {
            ATask task = ATask.named("t" + nextOffset).weight(weight);
            add(key.isEmpty() ? task : task.key(key));
        }
    }

    private void add(ATask task) {
        matcher.backlog().add(task.at(0, nextOffset++).build(), NOW);
    }

    /** The keys of the tasks that an agent gets which does one at a time. */
    private List<String> placeOneByOne(int count) {
        List<String> keys = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            placeOne(placement -> {
                String key = placement.waiting().task().fairnessKey();
                keys.add(key == null ? "-" : key);
            });
        }
        return keys;
    }

    private void placeOne(Consumer<Placement> action) {
        placeOne(matcher, NOW, action);
    }

    private static int placeOne(Matcher matcher, Instant now, Consumer<Placement> action) {
        List<Placement> placements = matcher.match(now, 1);
        for (Placement placement : placements) {
            action.accept(placement);
            matcher.answered(placement, 1, true);
            matcher.agents().updateHeldCount(placement.agentId(), 0);
        }
        return placements.size();
    }

    private static Map<String, Integer> counts(List<String> keys) {
        Map<String, Integer> counts = new HashMap<>();
        keys.forEach(key -> counts.merge(key, 1, Integer::sum));
        return counts;
    }
}

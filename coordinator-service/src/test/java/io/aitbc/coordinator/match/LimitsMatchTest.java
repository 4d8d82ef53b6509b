package io.aitbc.coordinator.match;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What limits keep back, and when it comes again. */
class LimitsMatchTest {
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9);

    private final Matcher matcher = new Matcher(
            HEALTH, new Aging(Duration.ofSeconds(60), 0.1), LoadBalancingStrategy.LEAST_CONNECTIONS, new Random(1));

    private long offset;

    @BeforeEach
    void agents() {
        matcher.agents().addOrUpdate(AnAgent.named("a").capacity(1_000).build(), NOW);
    }

    @Test
    void noMoreArePlacedThanALimitAllows() {
        define(Map.of("x", concurrency(3)));
        knows("x", used(1));
        for (int i = 0; i < 5; i++) {
            add(ATask.named("t" + i).uses("x", 1));
        }
        add(ATask.named("free"));

        List<Placement> placed = matcher.match(NOW, 100);

        assertThat(ids(placed)).containsExactlyInAnyOrder("t0", "t1", "free");
        assertThat(placed.get(0).uses()).isEqualTo(Map.of("x", 1L));
        assertThat(matcher.match(NOW, 100)).isEmpty();
        // The answer counts them. One of them ends, as a notice says.
        placed.forEach(placement -> matcher.answered(placement, 3, true));
        matcher.limits().update(Map.of("x", used(3)));
        assertThat(matcher.match(NOW, 100)).isEmpty();
        matcher.limits().update(Map.of("x", used(2)));
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("t2");
    }

    /** Until something is known of a limit, one task finds out. */
    @Test
    void oneTaskFindsOutWhatIsUsed() {
        define(Map.of("x", concurrency(5)));
        for (int i = 0; i < 5; i++) {
            add(ATask.named("t" + i).uses("x", 1));
        }

        List<Placement> first = matcher.match(NOW, 100);
        assertThat(ids(first)).containsExactly("t0");
        matcher.refund(first.get(0));
        matcher.answered(first.get(0), 0, false);
        matcher.limits().update(Map.of("x", used(5)));
        matcher.backlog().add(first.get(0).waiting(), NOW);

        Instant soon = NOW.plusMillis(2);
        assertThat(matcher.match(soon, 100)).isEmpty();
        assertThat(matcher.limits().nextDue()).isBetween(NOW.plus(Limits.MAX_WAIT), soon.plus(Limits.MAX_WAIT));
        // A notice may have been lost.
        Instant later = soon.plus(Limits.MAX_WAIT);
        assertThat(ids(matcher.match(later, 100))).containsExactly("t0");
    }

    @Test
    void aLimitIsAskedAgainIfAnotherOneRefused() {
        define(Map.of("x", concurrency(5), "y", concurrency(5)));
        add(ATask.named("t1").uses("x", 1).uses("y", 1));
        add(ATask.named("t2").uses("x", 1));
        List<Placement> first = matcher.match(NOW, 100);
        assertThat(ids(first)).containsExactly("t1");
        matcher.refund(first.get(0));
        matcher.answered(first.get(0), 0, false);
        matcher.limits().update(Map.of("y", used(5)));
        matcher.backlog().add(first.get(0).waiting(), NOW);

        assertThat(ids(matcher.match(NOW.plusMillis(2), 100))).containsExactly("t2");
    }

    @Test
    void aSlowRateWithALargeBurstIsNoError() {
        define(Map.of("x", new Limit(null, new Limit.Rate(1L, 31_622_400.0, 1_000_000_000_000L), null, null)));
        knows("x", LimitState.at(NOW, 0, 3e25, "", 0, 0, 0));
        add(ATask.named("t").uses("x", 1));

        assertThat(matcher.match(NOW, 100)).hasSizeLessThan(2);
    }

    @Test
    void aRateGivesUnitsAsTheyAreDue() {
        define(Map.of("x", new Limit(null, new Limit.Rate(2L, 1.0, 3L), null, null)));
        knows("x", LimitState.UNUSED);
        for (int i = 0; i < 10; i++) {
            add(ATask.named("t" + i).uses("x", 1));
        }

        assertThat(ids(matcher.match(NOW, 100))).containsExactly("t0", "t1", "t2");
        matcher.limits().forgetPlacements();
        knows("x", LimitState.at(NOW, 3, 1_500_000, "", 0, 0, 0));
        assertThat(matcher.match(NOW.plusMillis(499), 100)).isEmpty();
        assertThat(matcher.limits().nextDue()).isBetween(NOW.plusMillis(500), NOW.plusMillis(501));
        assertThat(ids(matcher.match(NOW.plusMillis(501), 100))).containsExactly("t3");
    }

    @Test
    void aClosedLimitOpensAgain() {
        define(Map.of("x", concurrency(9)));
        knows("x", LimitState.at(NOW, 0, 0, "", 0, 0, 2_000));
        add(ATask.named("t").uses("x", 1));

        assertThat(matcher.match(NOW.plusSeconds(1), 100)).isEmpty();
        assertThat(ids(matcher.match(NOW.plusSeconds(2), 100))).containsExactly("t");
    }

    @Test
    void aBudgetLastsUntilItsPeriodEnds() {
        define(Map.of("x", new Limit(null, null, new Limit.Budget(100L, Limit.Period.DAY, null), null)));
        String today = new Limit.Budget(100L, Limit.Period.DAY, null).period(NOW);
        knows("x", LimitState.at(NOW, 0, 0, today, 95, 100, 0));
        add(ATask.named("large").uses("x", 6));
        add(ATask.named("small").uses("x", 1));

        // The first in turn is not overtaken.
        assertThat(matcher.match(NOW, 100)).isEmpty();
        Instant tomorrow = new Limit.Budget(100L, Limit.Period.DAY, null).end(NOW);
        assertThat(ids(matcher.match(tomorrow, 100))).contains("large");
    }

    @Test
    void urgentTasksComeFirstAndTasksOfOtherLimitsAreNotKeptBack() {
        define(Map.of("x", concurrency(2), "y", concurrency(1)));
        knows("x", used(1));
        knows("y", used(1));
        add(ATask.named("both").uses("x", 1).uses("y", 1).waiting(50));
        add(ATask.named("normal").uses("x", 1).waiting(40));
        add(ATask.named("other").waiting(1));
        add(ATask.named("urgent").uses("x", 1).priority(Priority.URGENT));

        assertThat(ids(matcher.match(NOW, 100))).containsExactly("urgent", "other");
    }

    /** A more urgent task that needs less must not wait for one that needs more. */
    @Test
    void aMoreUrgentTaskIsLookedAtAtOnce() {
        define(Map.of("x", concurrency(5)));
        knows("x", used(3));
        add(ATask.named("large").uses("x", 4));
        assertThat(matcher.match(NOW, 100)).isEmpty();

        add(ATask.named("urgent").uses("x", 1).priority(Priority.URGENT));

        assertThat(ids(matcher.match(NOW, 100))).containsExactly("urgent");
    }

    /** Groups with other requirements do not overtake the first in turn either. */
    @Test
    void smallTasksOfOtherGroupsDoNotStarveALargeOne() {
        matcher.agents()
                .addOrUpdate(
                        AnAgent.named("b").capabilities("b").capacity(1_000).build(), NOW);
        define(Map.of("x", concurrency(10)));
        knows("x", used(8));
        add(ATask.named("large").uses("x", 5).waiting(10));
        assertThat(matcher.match(NOW, 100)).isEmpty();

        add(ATask.named("small").uses("x", 1).requires("b"));
        assertThat(matcher.match(NOW, 100)).isEmpty();
        matcher.limits().update(Map.of("x", used(5)));
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("large");
    }

    @Test
    void fairnessKeysTakeTurnsWithinALimit() {
        define(Map.of("x", concurrency(10)));
        knows("x", LimitState.UNUSED);
        for (int i = 0; i < 100; i++) {
            add(ATask.named("a" + i).key("a").uses("x", 1).waiting(100));
        }
        for (int i = 0; i < 100; i++) {
            add(ATask.named("b" + i).key("b").weight(4).uses("x", 1));
        }

        List<Placement> placed = matcher.match(NOW, 100);

        assertThat(placed).hasSize(10);
        assertThat(ids(placed)).filteredOn(id -> id.startsWith("a")).hasSize(2);
    }

    @Test
    void whatCouldNeverStartIsTakenOut() {
        define(Map.of("x", concurrency(3)));
        knows("x", LimitState.UNUSED);
        add(ATask.named("large").uses("x", 4));
        add(ATask.named("small").uses("x", 1));

        assertThat(ids(matcher.match(NOW, 100))).containsExactly("small");
        assertThat(matcher.limits().takeImpossible())
                .extracting(entry -> Objects.requireNonNull(entry.task()).id())
                .containsExactly("large");
        assertThat(matcher.backlog().size()).isZero();
    }

    /** What limits keep back neither counts as demand for agents, nor keeps agents from others. */
    @Test
    void whatLimitsKeepBackWantsNoAgents() {
        define(Map.of("x", concurrency(1)));
        knows("x", used(1));
        matcher.agents().addOrUpdate(AnAgent.named("a").capacity(1).holds(1).build(), NOW);
        add(ATask.named("kept").uses("x", 1).priority(Priority.URGENT));
        add(ATask.named("waits"));
        matcher.match(NOW, 100);

        assertThat(matcher.blocked(10)).extracting(BlockedGroup::tasks).containsExactly(1);
        assertThat(matcher.wants(NOW, 10)).extracting(Want::level).containsExactly(Priority.NORMAL.ordinal());
        assertThat(matcher.waitingLimits(10, NOW))
                .extracting(WaitingLimit::name, WaitingLimit::tasks)
                .containsExactly(tuple("x", 1));
    }

    /** Of many groups, those that are first in turn are looked at; if their other limits keep them back, the next ones. */
    @Test
    void unitsOfASharedLimitReachGroupsThatOtherLimitsDoNotKeepBack() {
        Map<String, Limit> limits = new HashMap<>();
        limits.put("shared", concurrency(3));
        limits.put("own/*", concurrency(1));
        define(limits);
        for (int i = 0; i < 500; i++) {
            String own = "own/" + i;
            add(ATask.named("t" + i).uses("shared", 1).uses(own, 1).waiting(1_000 - i));
            matcher.limits().update(Map.of(own, used(i < 490 ? 1 : 0)));
        }
        knows("shared", used(3));
        for (int i = 0; i < 20; i++) {
            matcher.match(NOW.plusMillis(2L * i), 100);
        }

        matcher.limits().update(Map.of("shared", used(0)));
        assertThat(matcher.limits().runnable()).as("of 500 groups").hasSizeLessThan(50);
        List<String> placed = new ArrayList<>();
        for (int i = 20; i < 60; i++) {
            placed.addAll(ids(matcher.match(NOW.plusMillis(2L * i), 100)));
        }
        assertThat(placed).containsExactly("t490", "t491", "t492");
        assertThat(matcher.limits().runnable()).hasSizeLessThan(50);

        assertThat(matcher.match(NOW.plusSeconds(1), 100)).isEmpty();
        // In case that a notice was missed, one of them finds out sooner or later.
        matcher.limits().forgetPlacements();
        matcher.limits().update(Map.of("shared", used(3)));
        Instant later = NOW.plusSeconds(1).plus(Limits.MAX_WAIT);
        List<String> found = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            found.addAll(ids(matcher.match(later.plusMillis(2L * i), 100)));
        }
        assertThat(found).hasSize(1);
    }

    @Test
    void aMoreUrgentTaskOfAnotherLaneGetsTheNextUnits() {
        define(Map.of("x", concurrency(5)));
        knows("x", used(3));
        matcher.limits().setRemote(Map.of("x", Priority.HIGH.ordinal()));
        add(ATask.named("normal").uses("x", 1));
        assertThat(matcher.match(NOW, 100)).isEmpty();
        assertThat(matcher.limits().mostUrgent()).isEqualTo(Map.of("x", Priority.NORMAL.ordinal()));
        add(ATask.named("high").uses("x", 1).priority(Priority.HIGH));
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("high");

        matcher.limits().setRemote(Map.of());
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("normal");
    }

    @Test
    void limitsApplyToTasksThatDoNotNameThem() {
        define(Map.of("tenant/*", new Limit(1L, null, null, new Limit.AppliesTo(null, null, null, "*"))));
        knows("tenant/a", LimitState.UNUSED);
        add(ATask.named("a1").key("a"));
        add(ATask.named("a2").key("a"));
        add(ATask.named("keyless"));
        knows("tenant/a", LimitState.UNUSED);

        assertThat(ids(matcher.match(NOW, 100))).containsExactlyInAnyOrder("a1", "keyless");
    }

    /**
     * A registry that grants or refuses at random times, as the script does: no limit is exceeded, no agent is idle while a task could start, and all
     * end.
     */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
    void allTasksEndAndNoLimitIsExceeded(long seed) {
        Random random = new Random(seed * 7919);
        Map<String, Limit> limits = new HashMap<>();
        for (String name : List.of("x", "y", "z")) {
            limits.put(name, concurrency(1 + random.nextInt(4)));
        }
        define(limits);
        Map<String, Map<String, Long>> live = new LinkedHashMap<>();
        int submitted = 0;
        int ended = 0;
        Instant now = NOW;
        for (int step = 0; ended < 200; step++) {
            assertThat(step).as("steps; live %s", live).isLessThan(20_000);
            now = now.plusMillis(10);
            if (submitted < 200 && random.nextBoolean()) {
                ATask task = ATask.named("t" + submitted++)
                        .priority(Priority.values()[random.nextInt(5)])
                        .key("k" + random.nextInt(3));
                for (String name : List.of("x", "y", "z")) {
                    if (random.nextInt(3) == 0) {
                        task.uses(
                                name,
                                1
                                        + random.nextInt(
                                                limits.get(name).concurrency().intValue()));
                    }
                }
                add(task.since(now));
            }
            for (Placement placement : matcher.match(now, 5)) {
                String refuser = refuser(placement.uses(), limits, live);
                Map<String, LimitState> states = new HashMap<>();
                if (refuser == null) {
                    live.put(placement.waiting().id(), placement.uses());
                } else {
                    matcher.refund(placement);
                }
                matcher.answered(placement, live.size(), refuser == null);
                placement.uses().keySet().forEach(name -> states.put(name, used(units(name, live))));
                matcher.limits().update(states);
                if (refuser != null) {
                    matcher.limits().refused(refuser, 1, now);
                    matcher.backlog().add(placement.waiting(), now);
                }
            }
            if (!live.isEmpty() && random.nextInt(3) == 0) {
                String id = live.keySet().iterator().next();
                Map<String, Long> freed = live.remove(id);
                ended++;
                matcher.agents().updateHeldCount("a", live.size());
                Map<String, LimitState> states = new HashMap<>();
                freed.keySet().forEach(name -> states.put(name, used(units(name, live))));
                matcher.limits().update(states);
            }
            // While nothing is live, whatever waits can start.
            if (live.isEmpty() && matcher.backlog().size() > 0) {
                List<Placement> next = matcher.match(now, 1);
                assertThat(next)
                        .as("idle although %s wait", matcher.backlog().size())
                        .isNotEmpty();
                live.put(next.get(0).waiting().id(), next.get(0).uses());
                matcher.answered(next.get(0), 1, true);
                Map<String, LimitState> states = new TreeMap<>();
                next.get(0).uses().keySet().forEach(name -> states.put(name, used(units(name, live))));
                matcher.limits().update(states);
            }
        }
    }

    private static @Nullable String refuser(
            Map<String, Long> uses, Map<String, Limit> limits, Map<String, Map<String, Long>> live) {
        return uses.entrySet().stream()
                .filter(use -> units(use.getKey(), live) + use.getValue()
                        > limits.get(use.getKey()).concurrency())
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse(null);
    }

    private static long units(String name, Map<String, Map<String, Long>> live) {
        return live.values().stream()
                .mapToLong(uses -> uses.getOrDefault(name, 0L))
                .sum();
    }

    private static Limit concurrency(long units) {
        return new Limit(units, null, null, null);
    }

    private static LimitState used(long units) {
        return new LimitState(units, Instant.EPOCH, "", 0, 0, Instant.EPOCH);
    }

    private void define(Map<String, Limit> limits) {
        matcher.limits().define(new LimitBook("1", limits));
    }

    /** What is known of a limit is kept while a group of tasks uses it. */
    private void knows(String name, LimitState state) {
        states.put(name, state);
        matcher.limits().update(states);
    }

    private final Map<String, LimitState> states = new HashMap<>();

    private void add(ATask task) {
        matcher.backlog().add(task.at(0, offset++).build(), NOW);
        matcher.limits().update(states);
        states.clear();
    }

    private static List<String> ids(List<Placement> placements) {
        return placements.stream().map(placement -> placement.waiting().id()).toList();
    }
}

package io.aitbc.coordinator.match;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class MatcherTest {
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9);

    private final Matcher matcher = matcher(Duration.ofSeconds(60));
    private long nextOffset;

    @ParameterizedTest(name = "{1}, aging {0} s")
    @CsvSource(delimiter = '|', textBlock = """
        # aging | waiting, with the seconds each has waited       | placed
        60 | low 0, normal 0, high 0, critical 0, urgent 0        | urgent 0, critical 0, high 0, normal 0, low 0
        60 | normal 0, normal 59                                  | normal 59, normal 0
        60 | low 59, normal 0                                     | normal 0, low 59
        60 | low 60, normal 0                                     | normal 0, low 60
        60 | low 120, high 0                                      | high 0, low 120
        60 | low 239, urgent 0                                    | urgent 0, low 239
        60 | urgent 9999, low 239                                 | urgent 9999, low 239
        60 | critical 59, low 200, urgent 60, high 119            | urgent 60, critical 59, high 119, low 200
        0  | low 9999, normal 0, urgent 0                         | urgent 0, normal 0, low 9999
        60 | low -100, normal -100                                | normal -100, low -100
        """)
    void untilTasksAreAgedTheHighestPriorityIsNext(long agingSeconds, String waiting, String placed) {
        Matcher matcher = matcher(Duration.ofSeconds(agingSeconds));
        matcher.agents().addOrUpdate(agent("a").build(), NOW);
        for (String text : waiting.split(", ")) {
            String[] words = text.split(" ");
            add(
                    matcher,
                    ATask.named(text.replace(' ', '_'))
                            .priority(Priority.parse(words[0]))
                            .waiting(Long.parseLong(words[1])));
        }

        assertThat(match(matcher, NOW, 100))
                .extracting(p -> p.waiting().id().replace('_', ' '))
                .containsExactly(placed.split(", "));
    }

    @ParameterizedTest(name = "{0} after {1} s, aging {2} s")
    @CsvSource({
        "low,         239, 60, false",
        "low,         240, 60, true",
        "normal,      179, 60, false",
        "normal,      180, 60, true",
        "high,        120, 60, true",
        "critical,     59, 60, false",
        "critical,     60, 60, true",
        "urgent, 99999999, 60, false",
        "low,    99999999,  0, false",
        "low,        -100, 60, false",
    })
    void aTaskIsAgedAfterAnIntervalForEachLevelAboveIt(
            String priority, long waitedSeconds, long agingSeconds, boolean isAged) {
        assertThat(new Aging(Duration.ofSeconds(agingSeconds), 0.1)
                        .isAged(Priority.parse(priority), NOW.minusSeconds(waitedSeconds), NOW))
                .isEqualTo(isAged);
    }

    @Test
    void ofEachTenContendedChoicesOneGoesToTheTaskAgedLongest() {
        change(matcher, agent("a").capacity(1_000));
        addMany(90, "urgent", Priority.URGENT, 0);
        addMany(20, "aged", Priority.LOW, 300);
        add(task("young").priority(Priority.LOW).waiting(239));
        add(task("aged-longest").waiting(400));

        List<String> placed = placed();

        for (int ten = 0; ten < 100; ten += 10) {
            assertThat(placed.subList(ten, ten + 10))
                    .filteredOn(id -> !id.startsWith("urgent"))
                    .as("in %s", placed.subList(ten, ten + 10))
                    .hasSize(1);
        }
        assertThat(placed.stream().filter(id -> !id.startsWith("urgent")).limit(4))
                .containsExactly("aged-longest", "aged-0", "aged-1", "aged-2");
        assertThat(placed).hasSize(112).endsWith("young");
    }

    @Test
    void noShareAccumulatesWithoutContention() {
        change(matcher, agent("a").capacity(10_000));
        addMany(500, "aged", Priority.LOW, 300);
        assertThat(match(matcher, NOW, 200)).hasSize(200);
        addMany(10, "urgent", Priority.URGENT, 0);

        assertThat(placed().subList(0, 11))
                .filteredOn(id -> id.startsWith("aged"))
                .hasSizeBetween(1, 2);
    }

    @Test
    void strictPriorityKnowsNoAgedShare() {
        Matcher strict = matcher(Duration.ZERO);
        strict.agents().addOrUpdate(agent("a").capacity(1_000).build(), NOW);
        for (int i = 0; i < 100; i++) {
            add(strict, task("low-" + i).priority(Priority.LOW).waiting(99_999));
            add(strict, task("urgent-" + i).priority(Priority.URGENT));
        }

        assertThat(match(strict, NOW, 100)).allMatch(p -> p.waiting().id().startsWith("urgent"));
    }

    /** With a fixed position in each ten, the choice would always fall on the other agent. */
    @Test
    void anAgedTaskForOneOfSeveralAgentsHasItsShareThoughTheyTakeTurns() {
        matcher.switchStrategy(LoadBalancingStrategy.ROUND_ROBIN);
        change(matcher, agent("a").capacity(1_000));
        change(matcher, agent("b").capacity(1_000).capabilities("gpu"));
        addMany(400, "urgent", Priority.URGENT, 0);
        for (int i = 0; i < 100; i++) {
            add(task("aged-" + i).priority(Priority.LOW).waiting(300).requires("gpu"));
        }

        assertThat(match(matcher, NOW, 400))
                .filteredOn(p -> p.waiting().id().startsWith("aged"))
                .hasSizeBetween(10, 30)
                .allMatch(p -> p.agentId().equals("b"));
    }

    /** The pool of the urgent tasks counts: if the pools of the aged tasks did, each kind of them would get a tenth. */
    @Test
    void howeverManyKindsOfAgedTasksCompeteTogetherTheyHaveATenth() {
        String[] all = IntStream.range(0, 30).mapToObj(i -> "kind-" + i).toArray(String[]::new);
        for (int agent = 0; agent < 4; agent++) {
            change(matcher, agent("a" + agent).capacity(1_000).capabilities(all));
            change(matcher, agent("b" + agent).capacity(1_000).capabilities("kind-" + agent, "kind-" + (agent + 4)));
        }
        for (int i = 0; i < 600; i++) {
            add(task("aged-" + i).priority(Priority.LOW).waiting(300).requires("kind-" + i % 30));
        }
        addMany(400, "urgent", Priority.URGENT, 0);

        assertThat(match(matcher, NOW, 400))
                .filteredOn(p -> p.waiting().id().startsWith("aged"))
                .hasSizeBetween(30, 41);
    }

    @Test
    void aPausedQueueHasNoAgedShare() {
        change(matcher, agent("a").capacity(1_000));
        addMany(50, "urgent", Priority.URGENT, 0);
        addMany(50, "aged", Priority.LOW, 300);
        matcher.pause(Set.of(Priority.LOW));

        assertThat(placed()).hasSize(50).allMatch(id -> id.startsWith("urgent"));
    }

    @Test
    void anAgedTaskGoesBackToTheAgentThatRejectedItOnlyIfThereIsNoOther() {
        change(matcher, agent("a").capacity(1_000));
        add(task("aged").priority(Priority.LOW).waiting(300).rejectedBy("a"));
        addMany(20, "urgent", Priority.URGENT, 0);
        assertThat(match(matcher, NOW, 10)).extracting(p -> p.waiting().id()).contains("aged");

        add(task("again").priority(Priority.LOW).waiting(300).rejectedBy("a"));
        change(matcher, agent("b").capacity(1).holds(1));
        assertThat(match(matcher, NOW, 11)).extracting(p -> p.waiting().id()).doesNotContain("again");
    }

    @Test
    void aSlotIsYieldedToAgedTasksElsewhereAndReclaimedIfUnused() {
        change(matcher, agent("a").capacity(10));
        addMany(30, "urgent", Priority.URGENT, 0);
        setRemoteWants(new Want(Requirements.NONE, 4, new Want.Aged(NOW.minusSeconds(300), 5)));

        List<Placement> placed = match(matcher, NOW, 100);

        assertThat(matcher.slotOffers()).containsExactly(new SlotOffer("other", "a"));
        assertThat(placed).hasSize(9);
        assertThat(matcher.wants(NOW, 10)).extracting(Want::level).containsExactly(0);
        assertThat(match(matcher, NOW.plus(Matcher.YIELD_DURATION).minusMillis(1), 100))
                .isEmpty();
        setRemoteWants();
        assertThat(match(matcher, NOW.plus(Matcher.YIELD_DURATION), 100)).hasSize(1);
        assertThat(matcher.slotOffers()).isEmpty();
    }

    @Test
    void aSlotThatWasTakenIsNoLongerYielded() {
        change(matcher, agent("a").capacity(10));
        addMany(30, "urgent", Priority.URGENT, 0);
        setRemoteWants(new Want(Requirements.NONE, 4, new Want.Aged(NOW.minusSeconds(300), 5)));
        List<Placement> placed = match(matcher, NOW, 100);
        IntStream.range(0, placed.size()).forEach(i -> matcher.answered(placed.get(i), i + 1, true));
        assertThat(match(matcher, NOW, 100)).isEmpty();
        setRemoteWants();

        matcher.agents().updateHeldCount("a", 10);
        matcher.agents().updateHeldCount("a", 9);

        assertThat(match(matcher, NOW, 100)).hasSize(1);
    }

    @Test
    void noMoreSlotsAreYieldedThanThereAreAgedTasks() {
        change(matcher, agent("a").capacity(1_000));
        addMany(500, "urgent", Priority.URGENT, 0);
        setRemoteWants(new Want(Requirements.NONE, 4, new Want.Aged(NOW.minusSeconds(300), 3)));

        assertThat(match(matcher, NOW, 1_000)).hasSize(500);

        assertThat(matcher.slotOffers()).hasSize(3);
    }

    @Test
    void theAgedShareGoesToTheLaneOfTheTaskAgedLongest() {
        change(matcher, agent("a").capacity(1_000));
        addMany(200, "urgent", Priority.URGENT, 0);
        addMany(10, "aged", Priority.LOW, 290);
        setRemoteWants(new Want(Requirements.NONE, 4, new Want.Aged(NOW.minusSeconds(300), 4)));

        List<String> placed = placed();

        assertThat(matcher.slotOffers()).hasSize(4);
        assertThat(placed.subList(0, 30)).allMatch(id -> id.startsWith("urgent"));
        assertThat(placed.subList(0, 200))
                .filteredOn(id -> id.startsWith("aged"))
                .hasSizeGreaterThan(9);
    }

    @Test
    void anOfferedSlotGoesToTheTaskAgedLongestEvenIfTheAgentIsWantedMore() {
        change(matcher, agent("a").capacity(1).holds(1));
        add(task("young").priority(Priority.LOW).waiting(1));
        add(task("aged").priority(Priority.LOW).waiting(300));
        add(task("urgent-for-another").priority(Priority.URGENT).requires("gpu"));
        setRemoteWants(new Want(Requirements.NONE, 0));
        matcher.acceptOffers(List.of("a"), NOW);
        assertThat(placed()).as("it is not known to have room yet").isEmpty();

        matcher.agents().updateHeldCount("a", 0);

        assertThat(placed()).containsExactly("aged");
    }

    @Test
    void anOfferedSlotIsDroppedIfNoTaskHereIsAged() {
        change(matcher, agent("a").capacity(1));
        add(task("low").priority(Priority.LOW).waiting(200));
        setRemoteWants(new Want(Requirements.NONE, 0));
        matcher.acceptOffers(List.of("a"), NOW);

        assertThat(placed()).isEmpty();
    }

    @Test
    void oldSlotOffersExpire() {
        change(matcher, agent("a").capacity(1).holds(1));
        add(task("aged").priority(Priority.LOW).waiting(300));
        setRemoteWants(new Want(Requirements.NONE, 0));
        matcher.acceptOffers(List.of("a"), NOW);
        matcher.agents().updateHeldCount("a", 0);

        assertThat(match(matcher, NOW.plus(Matcher.YIELD_DURATION), 10)).isEmpty();
    }

    /** Otherwise another coordinator would be told at that moment that nothing is wanted, and take it. */
    @Test
    void anAgentThatHasJustBecomeFreeIsWantedUntilTheNextRound() {
        change(matcher, agent("a").capacity(1).holds(1));
        add(task("urgent").priority(Priority.URGENT));
        assertThat(placed()).isEmpty();

        matcher.agents().updateHeldCount("a", 0);

        assertThat(matcher.wants(NOW, 10)).containsExactly(new Want(Requirements.NONE, 0));
        assertThat(placed()).containsExactly("urgent");
        assertThat(matcher.wants(NOW, 10)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"-1000, 0.1", "60000, 0", "60000, 0.0009", "60000, 0.51", "60000, NaN"})
    void nonsensicalAgingIsRefused(long intervalMs, double share) {
        assertThatThrownBy(() -> new Aging(Duration.ofMillis(intervalMs), share))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("but was");
    }

    @Test
    void agedTasksWhoseAgentsAreYieldedElsewhereAreWanted() {
        change(matcher, agent("a").capacity(1));
        add(task("aged").priority(Priority.LOW).waiting(300));
        add(task("aged-too").priority(Priority.LOW).waiting(299));
        assertThat(matcher.wants(NOW, 10)).as("there is room").isEmpty();
        setRemoteWants(new Want(Requirements.NONE, 0));

        assertThat(placed()).isEmpty();

        assertThat(matcher.wants(NOW, 10))
                .containsExactly(new Want(Requirements.NONE, 4, new Want.Aged(NOW.minusSeconds(300), 2)));
    }

    @Test
    void theOrderHoldsAcrossGroups() {
        matcher.agents().addOrUpdate(agent("a").capabilities("hash", "chat").build(), NOW);
        add(task("low").priority(Priority.LOW).requires("hash"));
        add(task("high").priority(Priority.HIGH).requires("chat"));
        add(task("old-normal").waiting(30).requires("hash"));
        add(task("normal").waiting(20));
        add(task("urgent").priority(Priority.URGENT).requires("hash", "chat"));

        assertThat(placed()).containsExactly("urgent", "high", "old-normal", "normal", "low");
    }

    @Test
    void equalTasksArePlacedInArrivalOrder() {
        matcher.agents().addOrUpdate(agent("a").build(), NOW);
        for (int offset : new int[] {3, 1, 2}) {
            for (int partition : new int[] {1, 0}) {
                matcher.backlog()
                        .add(
                                task("p" + partition + "-" + offset)
                                        .at(partition, offset)
                                        .build(),
                                NOW);
            }
        }

        assertThat(placed()).containsExactly("p0-1", "p0-2", "p0-3", "p1-1", "p1-2", "p1-3");
    }

    @Test
    void aRejectedTaskGoesToAnotherAgentIfThereIsOne() {
        matcher.agents().addOrUpdate(agent("a").build(), NOW);
        matcher.agents().addOrUpdate(agent("b").holds(3).build(), NOW);
        add(task("t").rejectedBy("a"));

        assertThat(match(matcher, NOW, 10)).extracting(Placement::agentId).containsExactly("b");
    }

    @Test
    void aRejectedTaskGoesBackIfThereIsNoOther() {
        matcher.agents().addOrUpdate(agent("a").build(), NOW);
        add(task("t").rejectedBy("a"));

        assertThat(match(matcher, NOW, 10)).extracting(Placement::agentId).containsExactly("a");
    }

    @Test
    void agentsAreYieldedToMoreUrgentTasksElsewhere() {
        matcher.agents().addOrUpdate(agent("gpu").capabilities("gpu").build(), NOW);
        matcher.agents().addOrUpdate(agent("plain").capacity(1).build(), NOW);
        add(task("low-1").priority(Priority.LOW));
        add(task("low-2").priority(Priority.LOW));
        add(task("urgent").priority(Priority.URGENT));

        setRemoteWants(new Want(Requirements.capabilities("gpu"), Priority.HIGH.ordinal()));
        assertThat(match(matcher, NOW, 10))
                .extracting(placement -> placement.waiting().id() + " to " + placement.agentId())
                .containsExactly("urgent to gpu", "low-1 to plain");

        setRemoteWants();
        assertThat(placed()).containsExactly("low-2");
    }

    @Test
    void anAgentThatIsNoUseElsewhereIsNotLeftIdle() {
        matcher.agents().addOrUpdate(agent("tired").load(0.8, 0.8).build(), NOW);
        add(task("low").priority(Priority.LOW));

        setRemoteWants(new Want(
                new Requirements(
                        null,
                        List.of(),
                        List.of(),
                        List.of(),
                        0.99,
                        null,
                        null,
                        null,
                        null,
                        null,
                        Resources.NONE,
                        Map.of()),
                0));

        assertThat(placed()).containsExactly("low");
    }

    @Test
    void tasksWaitingForAFullAgentAreWanted() {
        matcher.agents()
                .addOrUpdate(
                        agent("full").capabilities("gpu").capacity(1).holds(1).build(), NOW);
        add(task("high").priority(Priority.HIGH).requires("gpu"));
        add(task("urgent").priority(Priority.URGENT).requires("gpu"));
        add(task("nobody").priority(Priority.URGENT).requires("absent"));
        add(task("low").priority(Priority.LOW));

        assertThat(matcher.wants(NOW, 10))
                .containsExactly(
                        new Want(Requirements.capabilities("gpu"), Priority.URGENT.ordinal()),
                        new Want(Requirements.NONE, Priority.LOW.ordinal()));

        matcher.agents().updateHeldCount("full", 0);
        assertThat(matcher.wants(NOW, 10)).isEmpty();
    }

    @Test
    void pausedQueuesAreSkipped() {
        matcher.agents().addOrUpdate(agent("a").build(), NOW);
        add(task("high").priority(Priority.HIGH));
        add(task("low").priority(Priority.LOW));

        matcher.pause(Set.of(Priority.HIGH));
        assertThat(placed()).containsExactly("low");

        matcher.pause(Set.of());
        assertThat(placed()).containsExactly("high");
    }

    @Test
    void blockedTasksDoNotDelayOthers() {
        matcher.agents().addOrUpdate(agent("a").capabilities("hash").build(), NOW);
        IntStream.range(0, 1_000)
                .forEach(i -> add(task("blocked-" + i)
                        .priority(Priority.URGENT)
                        .waiting(500)
                        .requires("nobody-" + i % 300)));
        add(task("late").priority(Priority.LOW).requires("hash"));

        assertThat(placed()).containsExactly("late");
        assertThat(matcher.backlog().size()).isEqualTo(1_000);
    }

    @Test
    void aFullAgentGetsNothingMore() {
        matcher.agents().addOrUpdate(agent("a").capacity(3).holds(1).build(), NOW);
        matcher.agents().addOrUpdate(agent("b").capacity(1).build(), NOW);
        addTasks(5);

        assertThat(match(matcher, NOW, 100)).extracting(Placement::agentId).containsExactlyInAnyOrder("a", "a", "b");
        assertThat(placed()).isEmpty();
    }

    @Test
    void unansweredPlacementsCountAsHeld() {
        matcher.agents().addOrUpdate(agent("a").capacity(3).build(), NOW);
        addTasks(9);
        List<Placement> placements = match(matcher, NOW, 2);

        matcher.answered(placements.get(0), 1, true);

        assertThat(placed()).containsExactly("t2");
    }

    @Test
    void forAgentsFilledByOthersTheRegistryCounts() {
        matcher.agents().addOrUpdate(agent("a").capacity(3).build(), NOW);
        addTasks(9);
        List<Placement> placements = match(matcher, NOW, 1);

        matcher.answered(placements.get(0), 3, false);

        assertThat(placed()).isEmpty();
    }

    @Test
    void noMoreThanTheLimitArePlaced() {
        matcher.agents().addOrUpdate(agent("a").build(), NOW);
        addTasks(5);

        assertThat(match(matcher, NOW, 2)).hasSize(2);
        assertThat(matcher.backlog().size()).isEqualTo(3);
        assertThat(match(matcher, NOW, 0)).isEmpty();
    }

    @Test
    void aTaskWhosePlacementFailedKeepsItsTurn() {
        matcher.agents().addOrUpdate(agent("a").capacity(1).build(), NOW);
        addTasks(3);
        Placement placement = match(matcher, NOW, 1).get(0);

        matcher.answered(placement, 0, false);
        matcher.backlog().add(placement.waiting(), NOW.plusSeconds(1));

        assertThat(placed()).containsExactly("t0");
    }

    static Stream<Arguments> awakenings() {
        return Stream.of(
                wakes(
                        "the first agent registers",
                        m -> {},
                        m -> change(m, agent("a").capabilities("hash"))),
                wakes(
                        "another agent registers",
                        m -> change(m, agent("b")),
                        m -> change(m, agent("a").capabilities("hash"))),
                wakes(
                        "an agent gains a capability",
                        m -> change(m, agent("a")),
                        m -> change(m, agent("a").capabilities("hash"))),
                wakes("an agent grows", m -> change(m, full()), m -> change(m, full().capacity(2))),
                wakes("an agent frees", m -> change(m, full()), m -> m.agents().updateHeldCount("a", 0)),
                wakes("an agent freed, as the view says", m -> change(m, full()), m -> change(m, full().holds(0))),
                wakes(
                        "an agent stops being busy",
                        m -> change(m, able().status(AgentStatus.BUSY)),
                        m -> change(m, able())),
                wakes(
                        "an agent is back from maintenance",
                        m -> change(m, able().status(AgentStatus.MAINTENANCE)),
                        m -> change(m, able())),
                wakes("a stale agent speaks", m -> change(m, able().silentFor(200)), m -> change(m, able())),
                wakes(
                        "an agent's load falls",
                        m -> change(m, able().load(0.95, 0)),
                        m -> change(m, able().load(0.5, 0))),
                wakes(
                        "a heartbeat reports a lower load",
                        m -> change(m, able().load(0.95, 0)),
                        m -> m.agents().updateState(able().load(0.5, 0).build(), NOW)),
                wakes(
                        "a silent agent sends a heartbeat",
                        m -> {
                            change(m, able());
                            m.agents().reevaluateDue(NOW.plusSeconds(200));
                        },
                        m -> m.agents()
                                .updateState(
                                        able().lastHeartbeat(NOW.plusSeconds(200))
                                                .build(),
                                        NOW.plusSeconds(200))),
                wakes(
                        "an agent returns",
                        m -> {
                            change(m, able());
                            m.agents().remove("a");
                        },
                        m -> change(m, able())),
                wakes(
                        "failures decay",
                        m -> change(m, able().failures(1, 0).load(0.85, 0)),
                        m -> m.agents().reevaluateDue(NOW.plusSeconds(30))));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("awakenings")
    void aBlockedGroupWakesWhen(String what, Consumer<Matcher> before, Consumer<Matcher> event) {
        before.accept(matcher);
        add(task("t").requires("hash"));
        assertThat(placed()).isEmpty();

        event.accept(matcher);

        assertThat(placed()).containsExactly("t");
    }

    @Test
    void anAgentThatPullsGetsWhatItsOpenClaimsAskFor() {
        change(matcher, agent("a").capacity(10).pulls(3));
        addTasks(9);
        List<Placement> placements = match(matcher, NOW, 2);
        assertThat(placements).hasSize(2);
        matcher.answered(placements.get(0), 1, true);
        matcher.answered(placements.get(1), 2, true);
        List<Placement> third = match(matcher, NOW, 9);
        assertThat(third).hasSize(1);
        matcher.answered(third.get(0), 3, true);

        // Settled tasks free no slot: the agent must claim more.
        matcher.agents().updateHeldCount("a", 0);
        assertThat(placed()).isEmpty();

        change(matcher, agent("a").capacity(10).pulls(1));
        assertThat(placed()).hasSize(1);
    }

    /** Other coordinators use the same open slots. */
    @Test
    void slotsOfOpenClaimsAreUsedByOthersToo() {
        change(matcher, agent("a").capacity(10).pulls(3));
        matcher.agents().updateHeldCount("a", 2);
        addTasks(9);
        Placement placement = match(matcher, NOW, 9).get(0);

        matcher.refused(placement, 2);

        assertThat(placed()).isEmpty();
        matcher.agents().updateHeldCount("a", 1);
        assertThat(placed()).isEmpty();
    }

    /** For example, because the task was cancelled meanwhile: the claim is still open. */
    @Test
    void aPlacementThatCameToNothingLeavesTheSlotOpen() {
        change(matcher, agent("a").capacity(10).pulls(1));
        addTasks(9);
        Placement placement = match(matcher, NOW, 9).get(0);
        assertThat(placed()).isEmpty();

        matcher.answered(placement, 0, false);

        assertThat(placed()).hasSize(1);
    }

    @Test
    void aBlockedGroupWakesWhenAPlacementIsAnswered() {
        change(matcher, agent("a").capacity(1));
        addTasks(3);
        Placement first = match(matcher, NOW, 9).get(0);
        assertThat(placed()).isEmpty();

        matcher.answered(first, 0, false);
        Placement second = match(matcher, NOW, 9).get(0);
        assertThat(placed()).isEmpty();
        matcher.answerLost(second);

        assertThat(placed()).containsExactly("t2");
    }

    static Stream<Arguments> ends() {
        return Stream.of(
                wakes("it is gone", m -> {}, m -> m.agents().remove("a")),
                wakes("it forgets", m -> {}, m -> change(m, agent("a").capabilities("chat"))),
                wakes("it shrinks", m -> {}, m -> change(m, able().holds(1).capacity(1))),
                wakes("others fill it", m -> {}, m -> m.agents().updateHeldCount("a", 2)),
                wakes("it is busy", m -> {}, m -> change(m, able().status(AgentStatus.BUSY))),
                wakes("it is stale", m -> {}, m -> change(m, able().status(AgentStatus.STALE))),
                wakes("its processor is hot", m -> {}, m -> change(m, able().load(0.9, 0))),
                wakes("it fell silent", m -> {}, m -> m.agents().reevaluateDue(NOW.plusSeconds(166))));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("ends")
    void anAgentGetsNothingWhen(String what, Consumer<Matcher> before, Consumer<Matcher> event) {
        change(matcher, able());
        add(task("t0").requires("hash"));
        add(task("t1").requires("hash"));
        assertThat(match(matcher, NOW, 1)).hasSize(1);

        event.accept(matcher);

        assertThat(placed()).isEmpty();
    }

    @Test
    void aHeartbeatDoesNotChangeTheInflightCount() {
        change(matcher, full());
        add(task("t").requires("hash"));

        matcher.agents().updateState(full().holds(0).build(), NOW);
        assertThat(placed()).isEmpty();

        matcher.agents().updateHeldCount("a", 0);
        assertThat(placed()).containsExactly("t");
    }

    @Test
    void aHeartbeatOfAnUnknownAgentAddsIt() {
        matcher.agents().updateState(able().build(), NOW);
        add(task("t").requires("hash"));

        assertThat(placed()).containsExactly("t");
    }

    /** Health falls gradually: tasks with a higher minimum lose their agents earlier. */
    @Test
    void healthIsReevaluatedAsTimePasses() {
        change(matcher, able().capacity(100));
        Requirements healthy = Json.read("{\"min_health_score\":0.9}".getBytes(), Requirements.class);

        matcher.agents().reevaluateDue(NOW.plusSeconds(57));
        add(task("still-healthy").requires(healthy));
        assertThat(match(matcher, NOW.plusSeconds(57), 9)).hasSize(1);

        matcher.agents().reevaluateDue(NOW.plusSeconds(58));
        add(task("too-late").requires(healthy));
        assertThat(match(matcher, NOW.plusSeconds(58), 9)).isEmpty();
        add(task("content"));
        assertThat(match(matcher, NOW.plusSeconds(58), 9)).hasSize(1);
    }

    /**
     * Affinity keys and locations are preferences: tasks that differ in nothing else form one group, and the strategy chooses per
     * task.
     */
    @Test
    void tasksOfOneKeyGoToOneAgent() {
        matcher.switchStrategy(LoadBalancingStrategy.CONSISTENT_HASH);
        for (int i = 0; i < 10; i++) {
            matcher.agents().addOrUpdate(agent("a" + i).holds(50).build(), NOW);
        }
        for (int i = 0; i < 12; i++) {
            add(task("t" + i).requires(Json.read("{\"affinity_key\":\"k" + i % 2 + "\"}", Requirements.class)));
        }

        Map<String, Set<String>> agentsOfKey = match(matcher, NOW, 12).stream()
                .collect(Collectors.groupingBy(
                        placement -> placement.waiting().task().requirements().affinityKey(),
                        Collectors.mapping(Placement::agentId, Collectors.toSet())));

        assertThat(agentsOfKey)
                .hasSize(2)
                .allSatisfy((key, agents) -> assertThat(agents).hasSize(1));
        assertThat(matcher.backlog().groups()).hasSize(1);
    }

    @Test
    void tasksThatWantABetterAgentWaitForOne() {
        change(matcher, agent("a").silentFor(100));
        Requirements healthy = Json.read("{\"min_health_score\":0.9}".getBytes(), Requirements.class);
        add(task("picky").priority(Priority.URGENT).requires(healthy));
        add(task("modest"));
        assertThat(placed()).containsExactly("modest");

        change(matcher, agent("a"));

        assertThat(placed()).containsExactly("picky");
    }

    @Test
    void removedTasksAreNotPlacedAndReaddedTasksArePlacedOnce() {
        List<WaitingTask> tasks = IntStream.range(0, 10)
                .mapToObj(i -> task("task-" + i).at(0, i).build())
                .toList();
        List<BacklogEntry> entries =
                tasks.stream().map(task -> matcher.backlog().add(task, NOW)).toList();
        entries.subList(0, 4).forEach(matcher.backlog()::remove);
        matcher.backlog().add(tasks.get(1), NOW);
        entries.subList(5, 9).forEach(matcher.backlog()::remove);
        entries.forEach(entry -> assertThat(entry.task()).isNotNull());
        assertThat(matcher.backlog().size()).isEqualTo(3);

        matcher.agents().addOrUpdate(AnAgent.named("agent").capacity(100).build(), NOW);

        assertThat(matcher.match(NOW, 100).stream()
                        .map(placement -> placement.waiting().id()))
                .containsExactly("task-1", "task-4", "task-9");
        assertThat(matcher.match(NOW, 100)).isEmpty();
    }

    @Test
    void unknownRequirementsDoNotMakeAnotherGroup() {
        add(task("a").requires(Json.read("{\"colour\":\"red\"}".getBytes(), Requirements.class)));
        add(task("b"));

        assertThat(matcher.backlog().groups()).hasSize(1);
    }

    @Test
    void regionBindsUntilTheStrategyOnlyPrefersIt() {
        change(matcher, agent("a").region("us").capacity(2));
        add(task("t0").inRegion("eu"));
        assertThat(placed()).isEmpty();

        matcher.switchStrategy(LoadBalancingStrategy.GEOGRAPHIC);
        assertThat(placed()).containsExactly("t0");

        matcher.switchStrategy(LoadBalancingStrategy.RANDOM);
        add(task("t1").inRegion("eu"));
        add(task("t2").inRegion("us"));
        assertThat(placed()).containsExactly("t2");
    }

    @Test
    void aSwitchedStrategyChoosesFromThenOn() {
        change(matcher, agent("a").holds(5).capacity(100));
        change(matcher, agent("b"));
        addTasks(4);
        assertThat(match(matcher, NOW, 2)).extracting(Placement::agentId).containsExactly("b", "b");

        matcher.switchStrategy(LoadBalancingStrategy.ROUND_ROBIN);

        assertThat(match(matcher, NOW, 2)).extracting(Placement::agentId).containsExactly("a", "b");
        assertThat(matcher.strategy()).isEqualTo(LoadBalancingStrategy.ROUND_ROBIN);
    }

    @Test
    void aTaskIsNotPlacedBeforeItsTime() {
        change(matcher, agent("a"));
        add(task("later").priority(Priority.URGENT).waiting(500).notBefore(NOW.plusSeconds(10)));
        add(task("now"));
        add(task("due").notBefore(NOW));

        assertThat(placed()).containsExactly("now", "due");
        assertThat(match(matcher, NOW.plusMillis(9_999), 9)).isEmpty();
        assertThat(matcher.backlog().size()).isEqualTo(1);
        assertThat(matcher.backlog().oldest(Priority.URGENT)).isNull();
        assertThat(match(matcher, NOW.plusSeconds(10), 9)).hasSize(1);
    }

    @Test
    void expiredTasksAreRemovedOnceWhereverTheyWait() {
        Instant expiry = NOW.plusSeconds(10);
        add(task("blocked").requires("nobody").expiresAt(expiry));
        add(task("not-yet").notBefore(NOW.plusSeconds(99)).expiresAt(expiry));
        add(task("longer").expiresAt(expiry.plusMillis(1)));
        add(task("for-ever"));
        assertThat(matcher.backlog().takeExpired(expiry.minusMillis(1))).isEmpty();

        assertThat(matcher.backlog().takeExpired(expiry))
                .extracting(entry -> entry.task().id())
                .containsExactlyInAnyOrder("blocked", "not-yet");

        assertThat(matcher.backlog().takeExpired(expiry)).isEmpty();
        assertThat(matcher.backlog().size()).isEqualTo(2);
        change(matcher, agent("a").capabilities("nobody"));
        assertThat(placed()).containsExactly("longer", "for-ever");
    }

    @Test
    void aTaskWithAnAgentDoesNotExpire() {
        change(matcher, agent("a"));
        add(task("t").expiresAt(NOW.plusSeconds(10)));
        Placement placement = match(matcher, NOW, 1).get(0);
        assertThat(matcher.backlog().takeExpired(NOW.plusSeconds(10))).isEmpty();

        matcher.backlog().add(placement.waiting(), NOW.plusSeconds(11));

        assertThat(matcher.backlog().takeExpired(NOW.plusSeconds(11)))
                .extracting(BacklogEntry::task)
                .containsExactly(placement.waiting());
        assertThat(matcher.backlog().size()).isZero();
    }

    /** Otherwise its payload would stay in memory until it expires, possibly for days. */
    @Test
    void aPlacedTaskIsNotRemembered() {
        change(matcher, agent("a"));
        add(task("t").expiresAt(NOW.plusSeconds(86_400)));
        WeakReference<WaitingTask> placed =
                new WeakReference<>(match(matcher, NOW, 1).get(0).waiting());

        for (int i = 0; i < 20 && placed.get() != null; i++) {
            System.gc();
        }

        assertThat(placed.get()).isNull();
    }

    @Test
    void aDuplicateTaskWaitsOnce() {
        WaitingTask task = task("t").expiresAt(NOW.plusSeconds(10)).build();
        matcher.backlog().add(task, NOW);
        matcher.backlog().add(task("t").expiresAt(NOW.plusSeconds(10)).build(), NOW);

        change(matcher, agent("a"));

        assertThat(placed()).containsExactly("t");
        assertThat(matcher.backlog().size()).isZero();
    }

    @Test
    void removedTasksAreGoneEverywhere() {
        add(task("queued").requires("hash"));
        add(task("not-yet").notBefore(NOW.plusSeconds(10)));
        add(task("expiring").expiresAt(NOW.plusSeconds(10)));
        add(task("kept").requires("hash"));

        assertThat(matcher.backlog().takeIf(entry -> !entry.task().id().equals("kept")))
                .hasSize(3);

        change(matcher, able());
        assertThat(matcher.backlog().takeExpired(NOW.plusSeconds(20))).isEmpty();
        assertThat(match(matcher, NOW.plusSeconds(20), 9))
                .extracting(placement -> placement.waiting().id())
                .containsExactly("kept");
    }

    @Test
    void theOldestOfAPriorityIsKnownAcrossGroups() {
        add(task("young").waiting(1));
        add(task("old").waiting(5).requires("hash"));
        add(task("older-but-low").priority(Priority.LOW).waiting(9));

        assertThat(matcher.backlog().oldest(Priority.NORMAL))
                .extracting(entry -> entry.task().id())
                .isEqualTo("old");
        assertThat(matcher.backlog().oldest(Priority.URGENT)).isNull();
    }

    @Test
    void emptyGroupsAreForgottenOnceThereAreMany() {
        change(matcher, agent("a").capacity(100_000));
        for (int i = 0; i < 1_000; i++) {
            add(task("t" + i)
                    .requires(Json.read(("{\"min_health_score\":" + i / 1000.0 + "}").getBytes(), Requirements.class)));
            assertThat(placed()).containsExactly("t" + i);
        }

        assertThat(matcher.backlog().groups()).hasSizeLessThan(300);
    }

    /** Payloads that turn out larger than those before must not fill the heap. */
    @Test
    void payloadsStayWithinTheirMemory() {
        WaitingTask large = withBytes(0, 1_000_000);
        long memory = 20 * large.heap();
        Matcher bounded = new Matcher(
                HEALTH,
                new Aging(Duration.ofSeconds(60), 0.1),
                LoadBalancingStrategy.LEAST_CONNECTIONS,
                new Random(1),
                memory);
        change(bounded, full().capabilities("hash"));
        bounded.backlog().add(withBytes(0, 100), NOW);
        Map<Position, WaitingTask> log = new HashMap<>();
        for (int offset = 1; offset < 10_000; offset++) {
            WaitingTask task = withBytes(offset, 1_000_000);
            log.put(task.position(), task);
            bounded.backlog().add(TaskSummary.of(task), NOW);
        }

        Deque<BacklogEntry> requested = new ArrayDeque<>();
        int loaded = 0;
        for (int i = 0; i < 2_000; i++) {
            requested.addAll(bounded.backlog().wanted(Set.of()));
            BacklogEntry next = requested.poll();
            if (next != null && next.isNear() && bounded.backlog().accept(next, log.get(next.position()))) {
                loaded++;
            }
            assertThat(bounded.backlog().payloadHeap()).isLessThanOrEqualTo(memory + large.heap());
        }
        assertThat(loaded).isGreaterThan(10);
    }

    private static WaitingTask withBytes(int offset, int bytes) {
        WaitingTask task = task("t" + offset).at(0, offset).requires("hash").build();
        return new WaitingTask(task.task(), task.position(), task.waitingSince(), bytes);
    }

    @Test
    void entriesThatTakeMoreMemoryWeighMore() {
        for (int i = 0; i < 100; i++) {
            add(task("plain" + i));
        }
        assertThat(matcher.backlog().weight()).isEqualTo(100);
        for (int i = 0; i < 100; i++) {
            add(task("expiring" + i).expiresAt(NOW.plusSeconds(10)));
        }
        assertThat(matcher.backlog().weight()).isBetween(370L, 380L);

        matcher.backlog().takeExpired(NOW.plusSeconds(10));
        assertThat(matcher.backlog().weight()).isEqualTo(100);

        for (int i = 0; i < 300; i++) {
            add(task("special" + i).requires("only-" + i));
        }
        assertThat(matcher.backlog().weight()).isGreaterThan(2_000);
    }

    @Test
    void groupsWithoutAFreeAgentAreBlocked() {
        change(matcher, full());
        change(matcher, agent("b").capabilities("free"));
        add(task("gpu-1").requires("gpu").waiting(10));
        add(task("gpu-2").requires("gpu").waiting(90).priority(Priority.LOW));
        add(task("gpu-3").requires("gpu"));
        add(task("hash-1").requires("hash").waiting(5));
        add(task("free-1").requires("free"));
        add(task("paused-1").requires("paused").priority(Priority.CRITICAL));
        add(task("later-1").requires("later").notBefore(NOW.plusSeconds(60)));
        matcher.pause(Set.of(Priority.CRITICAL));

        assertThat(matcher.blocked(10))
                .containsExactly(
                        new BlockedGroup(Requirements.capabilities("gpu"), 3, NOW.minusSeconds(90)),
                        new BlockedGroup(Requirements.capabilities("hash"), 1, NOW.minusSeconds(5)));
        assertThat(matcher.blocked(1)).extracting(BlockedGroup::tasks).containsExactly(3);

        change(matcher, agent("c").capabilities("gpu").capacity(1));
        assertThat(matcher.blocked(10)).extracting(BlockedGroup::tasks).containsExactly(1);
        assertThat(placed()).contains("gpu-1");
        assertThat(matcher.blocked(10)).extracting(BlockedGroup::tasks).containsExactly(2, 1);
    }

    @Test
    void removedTasksAreNotBlocked() {
        for (int i = 0; i < 10; i++) {
            add(task("gpu-" + i).requires("gpu").waiting(100 - i));
        }
        matcher.backlog().takeIf(entry -> !entry.waitingSince().equals(NOW.minusSeconds(100)));

        assertThat(matcher.blocked(10)).extracting(BlockedGroup::tasks).containsExactly(1);
    }

    private void setRemoteWants(Want... wants) {
        matcher.setRemoteWants(wants.length == 0 ? Map.of() : Map.of("other", List.of(wants)));
    }

    private void addMany(int count, String name, Priority priority, long waited) {
        IntStream.range(0, count)
                .forEach(i -> add(task(name + "-" + i).priority(priority).waiting(waited)));
    }

    private static Matcher matcher(Duration agingInterval) {
        return new Matcher(
                HEALTH, new Aging(agingInterval, 0.1), LoadBalancingStrategy.LEAST_CONNECTIONS, new Random(1));
    }

    private static AnAgent agent(String id) {
        return AnAgent.named(id);
    }

    private static AnAgent able() {
        return agent("a").capabilities("hash").capacity(2);
    }

    private static AnAgent full() {
        return agent("a").capabilities("hash").capacity(1).holds(1);
    }

    private static Arguments wakes(String what, Consumer<Matcher> before, Consumer<Matcher> event) {
        return Arguments.of(what, before, event);
    }

    private static void change(Matcher matcher, AnAgent agent) {
        matcher.agents().addOrUpdate(agent.build(), NOW);
    }

    private static ATask task(String id) {
        return ATask.named(id);
    }

    private void add(ATask task) {
        add(matcher, task);
    }

    private void add(Matcher matcher, ATask task) {
        matcher.backlog().add(task.at(0, nextOffset++).build(), NOW);
    }

    private void addTasks(int count) {
        IntStream.range(0, count).forEach(i -> add(task("t" + i)));
    }

    private static List<Placement> match(Matcher matcher, Instant now, int limit) {
        return matcher.match(now, limit);
    }

    private List<String> placed() {
        return match(matcher, NOW, 1_000).stream()
                .map(placement -> placement.waiting().id())
                .toList();
    }
}

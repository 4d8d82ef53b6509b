package io.aitbc.coordinator.match;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is left of agents' resources, and how large tasks come to them. */
class ResourcesMatchTest {
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofHours(10), 0.5, 0.9, 0.9);
    private static final Duration AGED = Duration.ofSeconds(60);

    private final Matcher matcher = matcher(LoadBalancingStrategy.LEAST_CONNECTIONS, 0.2);
    private long offset;

    private static Matcher matcher(LoadBalancingStrategy strategy, double share) {
        return new Matcher(HEALTH, new Aging(AGED, share), strategy, new Random(1));
    }

    @Test
    void whatIsLeftCounts() {
        agent(AnAgent.named("a").has("gpu 4", "memory_gb 64").uses("gpu 1.5"));
        add(ATask.named("t1").takes("gpu 2"));
        add(ATask.named("t2").takes("gpu 1"));
        add(ATask.named("t3").takes("gpu 0.5"));
        add(ATask.named("t4").takes("memory_gb 65"));
        add(ATask.named("t5").takes("tpu 1"));
        add(ATask.named("t6"));

        assertThat(ids(matcher.match(NOW, 100))).containsExactly("t1", "t3", "t6");
        assertThat(matcher.match(NOW, 100)).isEmpty();
    }

    @Test
    void answersAndNoticesSayWhatIsInUse() {
        agent(AnAgent.named("a").has("gpu 2"));
        add(ATask.named("t1").takes("gpu 1"));
        add(ATask.named("t2").takes("gpu 1"));
        add(ATask.named("t3").takes("gpu 1"));

        List<Placement> first = matcher.match(NOW, 100);
        assertThat(first).extracting(Placement::held).containsOnly(Map.of("@a/gpu", 1_000L));
        first.forEach(placement -> matcher.answered(placement, 2, true));
        inUse("a", "gpu", 2_000);
        assertThat(matcher.match(NOW, 100)).isEmpty();
        inUse("a", "gpu", 1_000);
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("t3");
    }

    /** Another coordinator was faster: the answer says what is in use, or the agent declares less than this coordinator knows. */
    @ParameterizedTest
    @ValueSource(longs = {0, 1_000, 2_000})
    void aRefusedPlacementIsNotRepeatedUntilSomethingChanges(long inUse) {
        agent(AnAgent.named("a").has("gpu 2"));
        add(ATask.named("t1").takes("gpu 1"));
        Placement placed = matcher.match(NOW, 100).get(0);
        matcher.refund(placed);
        matcher.answered(placed, 0, false);
        inUse("a", "gpu", inUse);
        matcher.refused(placed, "@a/gpu", NOW);
        matcher.backlog().add(placed.waiting(), NOW);

        assertThat(matcher.match(NOW, 100)).isEmpty();
        inUse("a", "gpu", 500);
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("t1");
    }

    @Test
    void aLostAnswerFreesWhatThePlacementWouldTake() {
        agent(AnAgent.named("a").has("gpu 1"));
        add(ATask.named("t1").takes("gpu 1"));
        Placement placed = matcher.match(NOW, 100).get(0);
        add(ATask.named("t2").takes("gpu 1"));
        assertThat(matcher.match(NOW, 100)).isEmpty();
        matcher.answerLost(placed);
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("t2");
    }

    @ParameterizedTest
    @CsvSource({"BIN_PACK, c", "RESOURCE_BASED, a"})
    void strategiesRankByTheResourceOfWhichMostIsInUse(LoadBalancingStrategy strategy, String chosen) {
        matcher.switchStrategy(strategy);
        agent(AnAgent.named("a").has("gpu 4", "memory_gb 64").uses("gpu 1", "memory_gb 8"));
        agent(AnAgent.named("b").has("gpu 4", "memory_gb 64").uses("gpu 1", "memory_gb 32"));
        agent(AnAgent.named("c").has("gpu 4", "memory_gb 64").uses("gpu 3", "memory_gb 8"));
        agent(AnAgent.named("full").has("gpu 4", "memory_gb 64").uses("gpu 3.5"));
        add(ATask.named("t").takes("gpu 1"));

        assertThat(matcher.match(NOW, 100)).extracting(Placement::agentId).containsExactly(chosen);
    }

    /** Small tasks use each bit that becomes free, unless an agent is kept free for a large one that has waited long. */
    @ParameterizedTest
    @ValueSource(strings = {"URGENT", "NORMAL", "LOW"})
    void aLargeTaskIsNotStarvedBySmallOnes(Priority priority) {
        Fleet fleet = new Fleet(matcher, 3, 4);
        Instant now = NOW;
        Instant placedAt = null;
        double idle = 0;
        Random random = new Random(1);
        // A small task takes ten seconds on average; there are always more.
        for (int second = 0; second < 600 && placedAt == null; second++) {
            now = NOW.plusSeconds(second);
            fleet.end(now);
            while (matcher.backlog().size() < 30) {
                add(ATask.named("s" + offset).takes("gpu 1").since(now));
            }
            if (second == 1) {
                add(ATask.named("large").takes("gpu 4").priority(priority).since(NOW));
            }
            placedAt = fleet.match(now, () -> Duration.ofSeconds(5 + random.nextInt(10)))
                            .contains("large")
                    ? now
                    : null;
            idle = Math.max(idle, fleet.idle());
        }

        long levels = Math.max(1, priority.ordinal());
        assertThat(placedAt)
                .isBetween(
                        NOW.plus(AGED.multipliedBy(levels)),
                        NOW.plus(AGED.multipliedBy(levels)).plusSeconds(15));
        assertThat(idle).as("not in use because one agent is kept free").isLessThanOrEqualTo(3);
    }

    @Test
    void anAgentIsKeptForAtMostFiveMinutesAndThenNotForFourTimesAsLong() {
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1"));
        smallTasksCome();
        add(ATask.named("large").takes("gpu 2").since(NOW));
        Instant aged = NOW.plus(AGED.multipliedBy(3));

        assertThat(keptWhile(aged, aged.plusSeconds(1))).isOne();
        add(ATask.named("s1").takes("gpu 1").since(aged));
        assertThat(matcher.match(aged.plusSeconds(1), 10)).isEmpty();
        // Other resources are not kept.
        agent(AnAgent.named("a").has("gpu 2", "disk 1").uses("gpu 1"));
        add(ATask.named("s2").takes("disk 1").since(aged));
        assertThat(ids(matcher.match(aged.plusSeconds(1), 10))).containsExactly("s2");

        Instant end = aged.plus(KeptAgents.MAX_TIME);
        assertThat(ids(matcher.match(end, 10))).containsExactly("s1");
        assertThat(keptWhile(end, end.plus(KeptAgents.MAX_TIME.multipliedBy(4)).minusSeconds(1)))
                .isZero();
        assertThat(keptWhile(end, end.plus(KeptAgents.MAX_TIME.multipliedBy(4)).plusSeconds(1)))
                .isOne();
    }

    private int keptWhile(Instant from, Instant to) {
        for (Instant at = from; at.isBefore(to); at = at.plusMillis(500)) {
            matcher.match(at, 0);
        }
        return matcher.keptAgents().size();
    }

    @Test
    void theLastSlotIsKeptToo() {
        agent(AnAgent.named("a").capacity(3).holds(1).has("gpu 2").uses("gpu 1"));
        smallTasksCome();
        add(ATask.named("large").takes("gpu 2").waiting(1_000));
        matcher.match(NOW, 100);
        add(ATask.named("t1"));
        add(ATask.named("t2"));

        assertThat(ids(matcher.match(NOW, 100))).containsExactly("t1");
        inUse("a", "gpu", 0);
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("large");
    }

    @Test
    void noAgentIsKeptForATaskThatHasLeft() {
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1"));
        smallTasksCome();
        BacklogEntry entry = add(at(ATask.named("large").takes("gpu 2").waiting(1_000), 0));
        matcher.match(NOW, 100);
        assertThat(matcher.keptAgents()).hasSize(1);
        add(ATask.named("s").takes("gpu 1"));
        matcher.backlog().remove(entry);

        assertThat(matcher.match(NOW, 100)).isEmpty();
        assertThat(ids(matcher.match(NOW.plus(KeptAgents.INTERVAL), 100))).containsExactly("s");
        assertThat(matcher.keptAgents()).isEmpty();
    }

    /** Neither lane would use the agent otherwise: it is kept free from the tasks of the other one. */
    @ParameterizedTest
    @CsvSource({"0, gpu 1", "3, gpu 1", "4, gpu 2"})
    void otherLanesHaveNoClaimToAnAgentThatIsKept(int level, String taken) {
        keepFor("large");
        Want want =
                new Want(requirements(taken), level, level == 4 ? new Want.Aged(NOW.minusSeconds(5_000), 10) : null);
        matcher.setRemoteWants(Map.of("other", List.of(want)));
        matcher.setLaneTimes(Map.of("other", List.of(new LaneTime(3, 0, 0, 1, Set.of(7)))), NOW);
        inUse("a", "gpu", 0);

        for (int i = 0; i < 20; i++) {
            Instant now = NOW.plusMillis(i);
            for (Placement placed : matcher.match(now, 10)) {
                assertThat(placed.waiting().id()).isEqualTo("large");
                return;
            }
        }
        throw new AssertionError("not placed");
    }

    @Test
    void anAgentIsKeptUntilTheTaskIsGranted() {
        keepFor("large");
        inUse("a", "gpu", 0);
        Placement placed = matcher.match(NOW, 10).get(0);
        matcher.refund(placed);
        matcher.answered(placed, 0, false);
        matcher.backlog().add(placed.waiting(), NOW);
        add(ATask.named("s").takes("gpu 1").priority(Priority.URGENT));
        inUse("a", "gpu", 1_000);
        assertThat(matcher.match(NOW.plusSeconds(1), 10)).isEmpty();
        inUse("a", "gpu", 0);

        Placement again = matcher.match(NOW.plusSeconds(2), 10).get(0);
        assertThat(again.waiting().id()).isEqualTo("large");
        matcher.answered(again, 1, true);
        assertThat(matcher.keptAgents()).isEmpty();
    }

    /** Both changes rebuild pools. */
    @ParameterizedTest
    @ValueSource(strings = {"strategy", "agent"})
    void anAgentRemainsKeptInAnotherPool(String change) {
        keepFor("large");
        if (change.equals("strategy")) {
            matcher.switchStrategy(LoadBalancingStrategy.BIN_PACK);
        } else {
            // It suits the large task, and no others of the pool.
            add(ATask.named("other").requires("c").takes("gpu 2"));
            agent(AnAgent.named("b").has("gpu 2").uses("gpu 2"));
        }
        matcher.match(NOW.plusSeconds(1), 10);
        inUse("a", "gpu", 0);

        assertThat(ids(matcher.match(NOW.plusSeconds(2), 10))).containsExactly("large");
    }

    @Test
    void anAgentThatMayTakeNoTasksIsKeptNoLonger() {
        keepFor("large");
        agent(AnAgent.named("b").has("gpu 2").uses("gpu 1.5"));
        matcher.match(NOW.plusSeconds(1), 10);
        assertThat(matcher.keptAgents()).extracting(KeptAgent::agentId).containsExactly("a");
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1").load(0.95, 0.1));

        matcher.match(NOW.plusSeconds(2), 10);

        assertThat(matcher.keptAgents()).extracting(KeptAgent::agentId).containsExactly("b");
    }

    /** As is an agent that pulls, while it has no open claim. */
    @Test
    void anAgentThatLacksOnlyASlotHindersNothing() {
        agent(AnAgent.named("idle").has("gpu 2").pulls(0));
        keepFor("large");
        assertThat(matcher.keptAgents()).extracting(KeptAgent::agentId).containsExactly("a");
    }

    @Test
    void noAgentIsKeptForATaskThatALimitKeepsBack() {
        keepFor("large");
        matcher.limits().define(new LimitBook("1", Map.of("x", new Limit(0L, null, null, null))));
        agent(AnAgent.named("a").has("gpu 4").uses("gpu 1"));
        add(ATask.named("limited").takes("gpu 4").uses("x", 1).waiting(5_000));
        inUse("a", "gpu", 0);
        assertThat(ids(matcher.match(NOW, 10))).containsExactly("large");
        matcher.pause(Set.of(Priority.LOW));

        matcher.match(NOW.plusSeconds(1), 10);

        assertThat(matcher.keptAgents()).isEmpty();
    }

    /** All lanes together keep no more than the share. */
    @Test
    void whatOtherLanesKeepCounts() {
        agent(AnAgent.named("theirs").has("gpu 2").uses("gpu 1"));
        matcher.setKeptElsewhere(List.of(new KeptAgent("theirs", requirements("gpu 2"), NOW.minusSeconds(60))), NOW);
        keepFor(null);
        matcher.setKeptElsewhere(List.of(), NOW);

        matcher.match(NOW.plusSeconds(1), 10);

        assertThat(matcher.keptAgents()).extracting(KeptAgent::agentId).containsExactly("a");
    }

    /** After an hour without rounds, or with a clock that was set back, no agent is barred for longer than after five minutes. */
    @Test
    void noAgentIsBarredForHours() {
        keepFor("large");
        Instant later = NOW.plusSeconds(3_600);
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1").lastHeartbeat(later));
        matcher.match(later, 10);
        assertThat(matcher.keptAgents()).isEmpty();
        matcher.match(later.plus(KeptAgents.MAX_TIME.multipliedBy(4)), 10);
        assertThat(matcher.keptAgents()).hasSize(1);

        matcher.match(later, 10);
        matcher.match(later.minusSeconds(40_000), 10);
        matcher.match(later.minusSeconds(39_999), 10);
    }

    /** An agent is kept for a task that takes all of it, unless none is to be. */
    private void keepFor(@Nullable String expected) {
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1"));
        smallTasksCome();
        add(ATask.named("large").takes("gpu 2").waiting(1_000));
        assertThat(matcher.match(NOW, 10)).isEmpty();
        assertThat(matcher.keptAgents()).hasSize(expected == null ? 0 : 1);
    }

    @Test
    void noAgentIsKeptIfAllTasksTakeAsMuch() {
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1"));
        add(ATask.named("large").takes("gpu 2").waiting(1_000));

        matcher.match(NOW, 100);

        assertThat(matcher.keptAgents()).isEmpty();
    }

    /** Small tasks of another lane count as well. */
    @Test
    void smallTasksElsewhereOvertakeToo() {
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1"));
        add(ATask.named("large").takes("gpu 2").waiting(1_000));
        matcher.setRemoteWants(Map.of("other", List.of(new Want(requirements("gpu 1"), 4))));

        matcher.match(NOW, 100);

        assertThat(matcher.keptAgents()).extracting(KeptAgent::agentId).containsExactly("a");
    }

    @Test
    void withoutAgingNoAgentIsKept() {
        Matcher never = new Matcher(
                HEALTH, new Aging(Duration.ZERO, 0.2), LoadBalancingStrategy.LEAST_CONNECTIONS, new Random(1));
        never.agents().addOrUpdate(AnAgent.named("a").has("gpu 2").uses("gpu 1").build(), NOW);
        never.backlog().add(ATask.named("small").at(1, 1).takes("gpu 1.5").build(), NOW);
        never.backlog().add(ATask.named("large").takes("gpu 2").waiting(100_000).build(), NOW);

        never.match(NOW, 10);

        assertThat(never.keptAgents()).isEmpty();
    }

    /** What two lanes keep, as both learn of it: the agent belongs to the one that began first. */
    @Test
    void agentsThatAnotherLaneKeepsAreLeftToIt() {
        agent(AnAgent.named("a").has("gpu 2").uses("gpu 1"));
        add(ATask.named("s").takes("gpu 1"));
        KeptAgent theirs = new KeptAgent("a", requirements("gpu 2"), NOW.minusSeconds(1));
        matcher.setKeptElsewhere(List.of(theirs, new KeptAgent("gone", requirements("gpu 2"), NOW)), NOW);
        assertThat(matcher.match(NOW, 100)).isEmpty();
        matcher.setKeptElsewhere(List.of(), NOW);
        assertThat(ids(matcher.match(NOW, 100))).containsExactly("s");

        add(ATask.named("large").takes("gpu 2").waiting(1_000));
        // What they keep counts as if it had been kept here.
        matcher.match(NOW.plusSeconds(3), 100);
        assertThat(matcher.keptAgents()).isEmpty();
        matcher.match(NOW.plusSeconds(4), 100);
        assertThat(matcher.keptAgents()).hasSize(1);
        matcher.setKeptElsewhere(List.of(new KeptAgent("a", requirements("gpu 2"), NOW.plusSeconds(5))), NOW);
        assertThat(matcher.keptAgents()).hasSize(1);
        matcher.setKeptElsewhere(List.of(theirs), NOW);
        assertThat(matcher.keptAgents()).isEmpty();
    }

    /** Work conservation, as far as no agent is kept: whatever waits, no task that an agent could hold is left over. And nothing is exceeded. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void noAgentIsIdleWhileATaskFitsAndNoneIsOverfull(long seed) {
        Random random = new Random(seed);
        Matcher any = matcher(LoadBalancingStrategy.values()[random.nextInt(10)], 0.2);
        Fleet fleet = new Fleet(any, 1 + random.nextInt(5), 1 + random.nextInt(6));
        Instant now = NOW;
        for (int step = 0; step < 400; step++) {
            now = now.plusMillis(random.nextInt(5_000));
            fleet.end(now);
            int more = random.nextInt(6);
            for (int i = 0; i < more; i++) {
                ATask task = ATask.named("t" + offset)
                        .priority(Priority.values()[random.nextInt(5)])
                        .since(now);
                task = random.nextInt(5) == 0 ? task : task.takes("gpu 0." + (1 + random.nextInt(9)));
                task = random.nextInt(4) == 0 ? task.takes("gpu " + (1 + random.nextInt(6))) : task;
                any.backlog().add(at(task, random.nextInt(3)), now);
            }
            // Answers make the lane go through another round.
            List<String> placed = List.of("");
            while (!placed.isEmpty()) {
                placed = fleet.match(now, () -> Duration.ofSeconds(1 + random.nextInt(30)));
            }
            assertThat(fleet.overfull()).isEmpty();
            if (any.keptAgents().isEmpty()) {
                assertThat(fleet.fitting()).as("step %d", step).isEmpty();
            }
        }
    }

    /** Agents with resources that end what they work on. */
    private static final class Fleet {
        final Matcher matcher;
        final long gpus;
        final Map<String, Map<Placement, Instant>> running = new TreeMap<>();

        Fleet(Matcher matcher, int agents, int gpus) {
            this.matcher = matcher;
            this.gpus = gpus;
            for (int i = 0; i < agents; i++) {
                running.put("a" + i, new LinkedHashMap<>());
                report("a" + i, NOW);
            }
        }

        void report(String id, Instant now) {
            matcher.agents().addOrUpdate(agent(id, now), now);
        }

        Agent agent(String id, Instant now) {
            return AnAgent.named(id)
                    .capacity(20)
                    .lastHeartbeat(now)
                    .has("gpu " + gpus)
                    .resources(ATask.resources("gpu " + gpus), Map.of("gpu", inUse(id)))
                    .holds(running.get(id).size())
                    .build();
        }

        long inUse(String id) {
            return running.get(id).keySet().stream()
                    .mapToLong(placement -> placement.held().getOrDefault("@" + id + "/gpu", 0L))
                    .sum();
        }

        List<String> match(Instant now, Supplier<Duration> time) {
            List<Placement> placed = matcher.match(now, 100);
            for (Placement placement : placed) {
                running.get(placement.agentId()).put(placement, now.plus(time.get()));
                matcher.answered(placement, running.get(placement.agentId()).size(), true);
            }
            running.keySet().forEach(id -> report(id, now));
            return ids(placed);
        }

        void end(Instant now) {
            running.forEach((id, placements) -> {
                placements.values().removeIf(end -> !end.isAfter(now));
                report(id, now);
            });
        }

        double idle() {
            return running.keySet().stream()
                    .mapToDouble(id -> gpus - inUse(id) / 1_000.0)
                    .sum();
        }

        List<String> overfull() {
            return running.keySet().stream()
                    .filter(id -> inUse(id) > 1_000 * gpus || running.get(id).size() > 20)
                    .toList();
        }

        /** Waiting tasks that an agent could hold. */
        List<String> fitting() {
            List<String> found = new ArrayList<>();
            matcher.backlog().find(entry -> true).forEach(entry -> {
                if (entry.task != null
                        && running.keySet().stream()
                                .anyMatch(id -> running.get(id).size() < 20
                                        && entry.task
                                                        .task()
                                                        .requirements()
                                                        .resources()
                                                        .thousandths()
                                                        .getOrDefault("gpu", 0L)
                                                <= 1_000 * gpus - inUse(id))) {
                    found.add(entry.task.id());
                }
            });
            return found;
        }
    }

    private void agent(AnAgent agent) {
        matcher.agents().addOrUpdate(agent.build(), NOW);
    }

    private static Requirements requirements(String... amounts) {
        return ATask.named("any").takes(amounts).build().task().requirements();
    }

    /** Otherwise none could overtake a large one. */
    private void smallTasksCome() {
        matcher.backlog().remove(add(at(ATask.named("gone").takes("gpu 1"), 1)));
    }

    private void inUse(String agentId, String resource, long thousandths) {
        Map<String, LimitState> states = new HashMap<>();
        states.put(new AgentResource(agentId, resource).limit(), LimitState.at(NOW, thousandths, 0, "", 0, 0, 0));
        matcher.updateLimits(states);
    }

    private void add(ATask task) {
        add(at(task, 0));
    }

    private BacklogEntry add(WaitingTask task) {
        return matcher.backlog().add(task, NOW);
    }

    private WaitingTask at(ATask task, int partition) {
        return task.at(partition, offset++).build();
    }

    private static List<String> ids(List<Placement> placements) {
        return placements.stream().map(placement -> placement.waiting().id()).toList();
    }
}

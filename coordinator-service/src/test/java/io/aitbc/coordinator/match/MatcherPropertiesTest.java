package io.aitbc.coordinator.match;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random loads, each from the seed in the test's name, checked against a naive model that examines every task and every agent
 * each time.
 */
class MatcherPropertiesTest {
    private static final int STEPS = 400;
    private static final long AGING_SECONDS = 60;
    private static final double AGED_SHARE = 0.1;
    /** With a threshold of 0.5, an idle agent without failures is healthy enough until half-way from interval to timeout. */
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9);

    private static final long FIT_SECONDS = 165;

    static LongStream seeds() {
        return LongStream.rangeClosed(1, 60);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void everyPlacementIsTheOneTheModelWants(long seed) {
        new Load(new Random(seed)).run();
    }

    /** Checked over all loads together, because pools change too rarely to count in each. */
    @Test
    void everyTenthContendedChoiceIsForTheAged() {
        int contended = 0;
        int forAged = 0;
        for (long seed : seeds().toArray()) {
            Load load = new Load(new Random(seed));
            load.run();
            contended += load.contended;
            forAged += load.forAged;
        }

        assertThat(contended).as("otherwise the loads prove nothing").isGreaterThan(500);
        assertThat((double) forAged / contended).isBetween(0.07, 0.13);
    }

    /** The naive model. */
    private static final class Load {
        final Random random;
        final List<WaitingTask> waiting = new ArrayList<>();
        final Map<String, Agent> agents = new TreeMap<>();
        final Map<String, Integer> counted = new TreeMap<>();
        final List<Placement> unanswered = new ArrayList<>();
        final Matcher matcher;
        LoadBalancingStrategy strategy = LoadBalancingStrategy.LEAST_CONNECTIONS;
        Instant now = NOW;
        long nextOffset;
        int placed;
        int contended;
        int forAged;
        int blocked;

        Load(Random random) {
            this.random = random;
            this.matcher =
                    new Matcher(HEALTH, new Aging(Duration.ofSeconds(AGING_SECONDS), AGED_SHARE), strategy, random);
        }

        void run() {
            for (int step = 0; step < STEPS; step++) {
                somethingHappens();
                if (random.nextInt(3) == 0) {
                    match(random.nextInt(8) == 0 ? 1_000 : random.nextInt(6));
                }
            }
            assertThat(placed).as("placed; otherwise the load proves nothing").isGreaterThan(20);
            assertThat(blocked).as("rounds with blocked tasks").isGreaterThan(5);
        }

        void match(int limit) {
            List<Placement> placements = matcher.match(now, limit);
            for (Placement placement : placements) {
                mustBeRight(placement);
                waiting.remove(placement.waiting());
                unanswered.add(placement);
                placed++;
            }
            assertThat(placements).hasSizeLessThanOrEqualTo(limit);
            if (placements.size() < limit) {
                assertThat(waiting).as("P4: left, though an agent has room").noneMatch(this::canBePlaced);
                blocked += waiting.isEmpty() ? 0 : 1;
            }
            assertThat(matcher.backlog().size()).isEqualTo(waiting.size());
        }

        void mustBeRight(Placement placement) {
            WaitingTask task = placement.waiting();
            Agent agent = agents.get(placement.agentId());
            assertThat(waiting).contains(task);
            assertThat(agent).as("agent of %s", placement).isNotNull();
            assertThat(held(agent)).as("P5: %s", agent).isLessThan(agent.capacity());
            assertThat(canTake(agent, task)).as("%s may have %s", agent, task).isTrue();
            List<WaitingTask> before = waiting.stream()
                    .filter(this::canBePlaced)
                    .filter(other -> goesBefore(other, task))
                    .toList();
            if (before.isEmpty()) {
                if (waiting.stream().anyMatch(other -> competes(other, task, agent))) {
                    contended++;
                }
            } else {
                contended++;
                forAged++;
                mustBeTheAgedOnesTurn(task, agent, before);
            }
        }

        /** The only exception to priority order. */
        void mustBeTheAgedOnesTurn(WaitingTask task, Agent agent, List<WaitingTask> before) {
            WaitingTask mostUrgent = before.stream()
                    .filter(one -> before.stream().noneMatch(other -> goesBefore(other, one)))
                    .findFirst()
                    .orElseThrow();
            assertThat(canTake(agent, mostUrgent))
                    .as("P3: %s could not have %s, so nothing was contended", mostUrgent, agent)
                    .isTrue();
            assertThat(competes(task, mostUrgent, agent))
                    .as("P3: waited with %s, which is not aged: %s", task, before)
                    .isTrue();
            assertThat(waiting)
                    .filteredOn(other -> competes(other, mostUrgent, agent))
                    .as("P3: aged longer than %s", task)
                    .noneMatch(other -> other.waitingSince().isBefore(task.waitingSince()));
        }

        /** Whether an aged task could take an agent that goes to a more urgent task. */
        boolean competes(WaitingTask aged, WaitingTask moreUrgent, Agent agent) {
            long waited = Math.max(0, Duration.between(aged.waitingSince(), now).toSeconds());
            int level = level(aged);
            return level > level(moreUrgent) && waited >= level * AGING_SECONDS && canTake(agent, aged);
        }

        boolean goesBefore(WaitingTask other, WaitingTask task) {
            return Comparator.comparingInt(this::level)
                            .thenComparing(WaitingTask::waitingSince)
                            .thenComparingInt(one -> one.position().partition())
                            .thenComparingLong(one -> one.position().offset())
                            .compare(other, task)
                    < 0;
        }

        int level(WaitingTask task) {
            return task.position().priority().ordinal();
        }

        boolean canBePlaced(WaitingTask task) {
            return agents.values().stream().anyMatch(agent -> held(agent) < agent.capacity() && canTake(agent, task));
        }

        boolean canTake(Agent agent, WaitingTask task) {
            Requirements wanted = task.task().requirements();
            Instant notBefore = task.task().notBefore();
            return agent.status() == AgentStatus.ACTIVE
                    && !agent.lastHeartbeat().isBefore(now.minusSeconds(FIT_SECONDS))
                    && agent.loadMetrics().getOrDefault("cpu_usage", 0.0) < 0.9
                    && agent.registration().capabilities().containsAll(wanted.capabilities())
                    && (wanted.agentId() == null || wanted.agentId().equals(agent.id()))
                    && (wanted.region() == null
                            || strategy == LoadBalancingStrategy.GEOGRAPHIC
                            || wanted.region().equals(agent.registration().region()))
                    && (notBefore == null || !notBefore.isAfter(now));
        }

        long held(Agent agent) {
            return counted.get(agent.id())
                    + unanswered.stream()
                            .filter(placement -> placement.agentId().equals(agent.id()))
                            .count();
        }

        void somethingHappens() {
            switch (random.nextInt(12)) {
                case 0, 1, 2 -> IntStream.rangeClosed(0, random.nextInt(6)).forEach(i -> taskComes());
                case 3, 4, 5 -> answer();
                case 6 -> timePasses(40);
                case 7, 8 -> agentChanges();
                case 9 -> agentIsDone();
                case 10 -> someExpire();
                default -> rarely();
            }
        }

        void rarely() {
            switch (random.nextInt(4)) {
                case 0 -> agentGoes();
                case 1 -> {
                    strategy = any(LoadBalancingStrategy.values());
                    matcher.switchStrategy(strategy);
                }
                case 2 -> someAreCleared();
                default -> timePasses(400);
            }
        }

        void timePasses(int mostSeconds) {
            now = now.plusSeconds(random.nextInt(mostSeconds));
            matcher.agents().reevaluateDue(now);
        }

        void taskComes() {
            WaitingTask task = ATask.named("t" + nextOffset)
                    .priority(any(Priority.values()))
                    .at(random.nextInt(3), nextOffset++)
                    .since(now.minusSeconds(random.nextInt(10) == 0 ? random.nextInt(400) : 0))
                    .requires(new Requirements(
                            null,
                            capabilities(2),
                            List.of(),
                            List.of(),
                            null,
                            random.nextInt(5) == 0 ? region() : null,
                            null,
                            random.nextInt(10) == 0 ? agentId() : null,
                            random.nextInt(5) == 0 ? "key-" + random.nextInt(3) : null,
                            null,
                            Resources.NONE,
                            Map.of()))
                    .notBefore(random.nextInt(10) == 0 ? now.plusSeconds(random.nextInt(100)) : null)
                    .expiresAt(random.nextInt(10) == 0 ? now.plusSeconds(random.nextInt(100)) : null)
                    .build();
            matcher.backlog().add(task, now);
            waiting.add(task);
        }

        /** The registry grants the placement, reports that others have filled the agent, or is unavailable. */
        void answer() {
            if (unanswered.isEmpty()) {
                return;
            }
            answer(unanswered.remove(random.nextInt(unanswered.size())), random.nextInt(10));
        }

        void answer(Placement placement, int kind) {
            Agent agent = agents.get(placement.agentId());
            if (kind == 0) {
                matcher.answerLost(placement);
            } else {
                int count = kind == 1 ? agent.capacity() : counted.get(agent.id()) + 1;
                counted.put(agent.id(), count);
                if (kind == 1) {
                    matcher.refused(placement, count);
                } else {
                    matcher.answered(placement, count, true);
                }
            }
            if (kind <= 1) {
                matcher.backlog().add(placement.waiting(), now);
                waiting.add(placement.waiting());
            }
        }

        void agentChanges() {
            String id = agentId();
            AnAgent agent = AnAgent.named(id)
                    .capabilities(capabilities(4).toArray(String[]::new))
                    .capacity(1 + random.nextInt(4))
                    .weight(1 + random.nextInt(5))
                    .region(region())
                    .lastHeartbeat(now)
                    .status(random.nextInt(4) == 0 ? any(AgentStatus.values()) : AgentStatus.ACTIVE)
                    .load(Map.of("cpu_usage", random.nextInt(8) == 0 ? 0.95 : 0.1))
                    .holds(random.nextInt(3));
            Agent changed = agent.build();
            agents.put(id, changed);
            counted.put(id, changed.inflight());
            matcher.agents().addOrUpdate(changed, now);
        }

        void agentIsDone() {
            String id = agentId();
            if (counted.getOrDefault(id, 0) > 0) {
                counted.merge(id, -1, Integer::sum);
                matcher.agents().updateHeldCount(id, counted.get(id));
            }
        }

        /** Placements on the agent are answered before it may come back. */
        void agentGoes() {
            String id = agentId();
            matcher.agents().remove(id);
            List<Placement> open = unanswered.stream()
                    .filter(placement -> placement.agentId().equals(id))
                    .toList();
            unanswered.removeAll(open);
            open.forEach(placement -> answer(placement, 1));
            agents.remove(id);
            counted.remove(id);
        }

        void someExpire() {
            List<WaitingTask> expired = tasks(matcher.backlog().takeExpired(now));
            assertThat(expired)
                    .containsExactlyInAnyOrderElementsOf(waiting.stream()
                            .filter(task -> task.task().expiresAt() != null
                                    && !task.task().expiresAt().isAfter(now))
                            .toList());
            waiting.removeAll(expired);
        }

        void someAreCleared() {
            int partition = random.nextInt(3);
            List<WaitingTask> taken = tasks(matcher.backlog().takeIf(entry -> entry.partition() == partition));
            assertThat(taken)
                    .containsExactlyInAnyOrderElementsOf(waiting.stream()
                            .filter(task -> task.position().partition() == partition)
                            .toList());
            waiting.removeAll(taken);
        }

        List<WaitingTask> tasks(List<BacklogEntry> entries) {
            return entries.stream().map(BacklogEntry::task).toList();
        }

        String agentId() {
            return "a" + random.nextInt(6);
        }

        @Nullable
        String region() {
            return any("eu", "us", null);
        }

        List<String> capabilities(int most) {
            return IntStream.range(0, random.nextInt(most + 1))
                    .mapToObj(i -> any("hash", "chat", "video", "echo"))
                    .distinct()
                    .toList();
        }

        @SafeVarargs
        final <T> T any(T... values) {
            return values[random.nextInt(values.length)];
        }
    }
}

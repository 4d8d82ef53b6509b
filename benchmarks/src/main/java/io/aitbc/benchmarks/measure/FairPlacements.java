package io.aitbc.benchmarks.measure;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.match.Aging;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import tools.jackson.databind.node.ObjectNode;

/**
 * The matching core with a constant backlog of tasks of many fairness keys: {@value #ROOM} tasks at a time are placed, and come back to the end of the backlog.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class FairPlacements {
    private static final int ROOM = 1_000;
    private static final int AGENTS = 100;
    private static final int BACKLOG = 200_000;
    private static final int PARTITIONS = 12;
    private static final int KEPT_BACK = 100;
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

    /** 0: tasks without a key. */
    @Param({"0"})
    private int keys;

    /** Limits that keep {@value #KEPT_BACK} other tasks back each. */
    @Param({"0"})
    private int blockedLimits;

    /** Limits that each task uses. */
    @Param({"0"})
    private int uses;

    private final Map<String, Long> used = new HashMap<>();
    private Matcher matcher;
    private long offset;

    /** Assignments per agent. */
    private final Map<String, Integer> held = new HashMap<>();

    @Setup
    public void start() {
        HealthPolicy policy = new HealthPolicy(Duration.ZERO, Duration.ZERO, 0, 1, 1);
        matcher = new Matcher(
                policy, new Aging(Duration.ZERO, 0.1), LoadBalancingStrategy.LEAST_CONNECTIONS, new Random(1));
        Random random = new Random(1);
        IntStream.range(0, AGENTS).forEach(i -> matcher.agents().addOrUpdate(Placements.agent(i, random), NOW));
        Map<String, Limit> limits = new HashMap<>();
        Map<String, LimitState> states = new HashMap<>();
        for (int i = 0; i < uses; i++) {
            limits.put("used-" + i, new Limit(1_000_000L, null, null, null));
            used.put("used-" + i, 1L);
        }
        for (int i = 0; i < blockedLimits; i++) {
            limits.put("blocked-" + i, new Limit(1L, null, null, null));
        }
        matcher.limits().define(new LimitBook("1", limits));
        IntStream.range(0, BACKLOG).forEach(this::add);
        IntStream.range(0, blockedLimits * KEPT_BACK).forEach(this::addKeptBack);
        limits.keySet()
                .forEach(name -> states.put(
                        name, new LimitState(name.startsWith("used") ? 0 : 1, Instant.EPOCH, "", 0, 0, Instant.EPOCH)));
        matcher.limits().update(states);
    }

    private void add(int number) {
        Task task = Task.of("task-" + number, Json.object(), Requirements.capabilities("hash"));
        Task keyed = keys == 0 ? task : task.withFairnessKey("key-" + number % keys);
        matcher.backlog().add(at(used.isEmpty() ? keyed : using("task-" + number, used)), NOW);
    }

    private void addKeptBack(int number) {
        matcher.backlog().add(at(using("kept-" + number, Map.of("blocked-" + number % blockedLimits, 1L))), NOW);
    }

    private static Task using(String id, Map<String, Long> uses) {
        Task plain = Task.of(id, Json.object(), Requirements.capabilities("hash"));
        ObjectNode json = Json.read(Json.bytes(plain), ObjectNode.class);
        json.set("uses", Json.tree(uses));
        return Json.read(json, Task.class);
    }

    private WaitingTask at(Task task) {
        long number = offset++;
        return new WaitingTask(
                task,
                new Position(Priority.NORMAL, (int) (number % PARTITIONS), number),
                NOW.plusNanos(1_000L * number),
                250);
    }

    @Benchmark
    @OperationsPerInvocation(ROOM)
    public int place() {
        List<Placement> placements = matcher.match(NOW, ROOM);
        if (placements.size() != ROOM) {
            throw new IllegalStateException(placements.size() + " tasks were placed");
        }
        held.clear();
        for (Placement placement : placements) {
            matcher.answered(placement, held.merge(placement.agentId(), 1, Integer::sum), true);
            matcher.backlog().add(at(placement.waiting().task()), NOW);
        }
        held.keySet().forEach(agent -> matcher.agents().updateHeldCount(agent, 0));
        return placements.size();
    }
}

package io.aitbc.benchmarks.measure;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.agent.Sender;
import io.aitbc.coordinator.agent.TrackRecord;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
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

/**
 * The matching core as a lane uses it: a batch of tasks arrives and is placed, the registry answers, and the agents become free again. Each
 * task counts as one placement.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Placements {
    private static final int BATCH = 1_000;
    private static final int PARTITIONS = 12;
    private static final int CITIES = 50;
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

    @Param({"LEAST_CONNECTIONS"})
    private LoadBalancingStrategy strategy;

    @Param({"1000"})
    private int agents;

    private Matcher matcher;
    private List<WaitingTask> tasks;

    /** Assignments per agent: counted up by batches, and down again as by results. */
    private final Map<String, Integer> held = new HashMap<>();

    @Setup
    public void start() {
        Random random = new Random(1);
        HealthPolicy policy = new HealthPolicy(Duration.ZERO, Duration.ZERO, 0, 1, 1);
        matcher = new Matcher(policy, new Aging(Duration.ofSeconds(60), 0.1), strategy, random);
        IntStream.range(0, agents).forEach(i -> matcher.agents().addOrUpdate(agent(i, random), NOW));
        tasks = IntStream.range(0, BATCH)
                .mapToObj(i -> new WaitingTask(
                        task(i, random),
                        new Position(Priority.values()[i % 5], i % PARTITIONS, i),
                        NOW.plusNanos(1_000L * i),
                        250))
                .toList();
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public int place() {
        tasks.forEach(task -> matcher.backlog().add(task, NOW));
        int placed = 0;
        while (placed < BATCH) {
            List<Placement> placements = matcher.match(NOW.plusSeconds(1), BATCH - placed);
            if (placements.isEmpty()) {
                throw new IllegalStateException("only " + placed + " tasks were placed");
            }
            placed += placements.size();
            held.clear();
            for (Placement placement : placements) {
                matcher.answered(placement, held.merge(placement.agentId(), 1, Integer::sum), true);
            }
            held.keySet().forEach(agent -> matcher.agents().updateHeldCount(agent, 0));
        }
        return placed;
    }

    static Agent agent(int number, Random random) {
        return new Agent(
                new Registration(
                        "worker-" + number,
                        "worker",
                        List.of("hash"),
                        List.of(),
                        Json.object(),
                        Json.object(),
                        List.of(),
                        "1.0.0",
                        4 + random.nextInt(60),
                        1.0 + random.nextInt(10),
                        "region-" + number % 5,
                        city(number % CITIES),
                        null,
                        null,
                        Resources.NONE,
                        Delivery.KAFKA),
                AgentStatus.ACTIVE,
                Instant.EPOCH,
                Instant.EPOCH,
                Map.of("cpu_usage", random.nextDouble(), "memory_usage", random.nextDouble()),
                new TrackRecord(0, 1 + random.nextInt(1_000), Instant.EPOCH),
                Sender.UNKNOWN,
                0,
                null,
                0,
                Map.of());
    }

    private static Task task(int number, Random random) {
        return Task.of(
                "task-" + number,
                Json.object(),
                new Requirements(
                        null,
                        List.of("hash"),
                        List.of(),
                        List.of(),
                        null,
                        "region-" + random.nextInt(5),
                        city(random.nextInt(CITIES)),
                        null,
                        "key-" + random.nextInt(500),
                        null,
                        Resources.NONE,
                        Map.of()));
    }

    private static Location city(int number) {
        return new Location(-60 + number * 37 % 120, -180 + number * 101 % 360);
    }
}

package io.aitbc.benchmarks;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Sender;
import io.aitbc.coordinator.agent.TrackRecord;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.balance.Selection;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What it costs to choose an agent and to keep the order: each step places a task and takes one back. */
@Command(name = "choice", description = "What it costs to choose among many agents, by strategy.")
final class ChoiceBenchmark implements Callable<Integer> {
    private static final int ROUNDS = 7;
    private static final int STEPS = 300_000;
    private static final int CITIES = 50;

    @Option(names = "--agents", split = ",", defaultValue = "10,100,1000,10000", description = "How many agents")
    private List<Integer> sizes = List.of();

    @Option(names = "--json", description = "A file for the table as JSON")
    private @Nullable Path json;

    @Override
    public Integer call() {
        List<String> columns = new ArrayList<>(List.of("strategy"));
        sizes.forEach(size -> columns.add(size + " agents, ns"));
        Report report = new Report(
                "Choice: one placement and one completion, median of " + ROUNDS + " rounds, after one to warm up",
                columns.toArray(String[]::new));
        for (LoadBalancingStrategy strategy : LoadBalancingStrategy.values()) {
            List<Object> row = new ArrayList<>(List.of(strategy.wireName()));
            sizes.forEach(size -> row.add(String.format(Locale.ROOT, "%.0f", measure(strategy, size))));
            report.row(row.toArray());
        }
        report.publish(json);
        return 0;
    }

    private static double measure(LoadBalancingStrategy strategy, int agents) {
        double[] rounds = new double[ROUNDS + 1];
        for (int round = 0; round < rounds.length; round++) {
            rounds[round] = round(strategy, agents, new Random(round));
        }
        double[] counted = Arrays.copyOfRange(rounds, 1, rounds.length);
        Arrays.sort(counted);
        return counted[ROUNDS / 2];
    }

    private static double round(LoadBalancingStrategy strategy, int agents, Random random) {
        Selection selection = strategy.select(random);
        IntStream.range(0, agents)
                .mapToObj(i -> new Candidate(agent(i, random)))
                .forEach(selection::put);
        List<Task> tasks =
                IntStream.range(0, 1_000).mapToObj(i -> task(i, random)).toList();
        // As many are out as make two for each agent.
        Candidate[] out = new Candidate[2 * agents];
        long start = System.nanoTime();
        for (int step = 0; step < STEPS; step++) {
            Candidate chosen = selection.next(tasks.get(step % tasks.size()));
            selection.chosen(chosen);
            chosen.placed();
            refresh(selection, chosen);
            Candidate done = out[step % out.length];
            if (done != null) {
                done.answered();
                refresh(selection, done);
            }
            out[step % out.length] = chosen;
        }
        return (System.nanoTime() - start) / (double) STEPS;
    }

    private static void refresh(Selection selection, Candidate candidate) {
        if (candidate.hasRoom()) {
            selection.put(candidate);
        } else {
            selection.remove(candidate);
        }
    }

    private static Agent agent(int number, Random random) {
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
                        null),
                AgentStatus.ACTIVE,
                Instant.EPOCH,
                Instant.EPOCH,
                Map.of("cpu_usage", random.nextDouble(), "memory_usage", random.nextDouble()),
                new TrackRecord(0, 1 + random.nextInt(1_000), Instant.EPOCH),
                Sender.UNKNOWN,
                0);
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
                        Map.of()));
    }

    private static Location city(int number) {
        return new Location(-60 + number * 37 % 120, -180 + number * 101 % 360);
    }
}

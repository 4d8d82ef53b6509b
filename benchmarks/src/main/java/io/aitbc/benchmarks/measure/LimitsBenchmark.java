package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What limits cost: those that keep tasks back, for the others; and those that a task uses, in the matcher and in Redis. */
@Command(name = "limits", description = "Limits: cost of those that keep others back, and of those that a task uses.")
public final class LimitsBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final int BATCH = 200;

    private static final int FLOOD_AGENTS = 100;
    private static final int FLOOD_IN_FLIGHT = 10_000;
    private static final int MAX_LIMITS = 3;
    private static final List<Kind> KINDS = List.of(
            new Kind(0, 0),
            new Kind(1, 0),
            new Kind(100, 0),
            new Kind(10_000, 0),
            new Kind(0, 1),
            new Kind(0, MAX_LIMITS));

    @Option(
            names = "--blocked",
            split = ",",
            defaultValue = "0,1000",
            description = "Numbers of limits that keep 100 tasks back each")
    private List<Integer> blocked = List.of();

    @Option(names = "--uses", split = ",", defaultValue = "0,1,3", description = "Numbers of limits that a task uses")
    private List<Integer> uses = List.of();

    @Option(names = "--tasks", defaultValue = "100000", description = "Tasks in a round of reservations")
    private int tasks;

    @Option(names = "--flood", defaultValue = "100000", description = "Tasks in a flood")
    private int flood;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions, in turns; medians are shown")
    private int times;

    @Override
    List<Report> measure() {
        return List.of(keptBack(), used(), reserved(), floods());
    }

    private Report keptBack() {
        Report report = new Report(
                "Matching with 200,000 waiting tasks without limits, beside tasks that limits keep back (JMH): one task",
                "limits, with 100 tasks each",
                "ns");
        for (int count : blocked) {
            RunResult result = MatchingBenchmark.run(
                            new OptionsBuilder()
                                    .include(FairPlacements.class.getName())
                                    .param("blockedLimits", "" + count),
                            times)
                    .iterator()
                    .next();
            report.row(count, String.format(Locale.ROOT, "%.0f", MatchingBenchmark.median(result)));
        }
        return report;
    }

    private Report used() {
        Report report = new Report(
                "Matching with 200,000 waiting tasks (JMH): arrival, placement, answer and release of one task",
                "limits that it uses",
                "ns");
        for (int count : uses) {
            RunResult result = MatchingBenchmark.run(
                            new OptionsBuilder()
                                    .include(FairPlacements.class.getName())
                                    .param("uses", "" + count),
                            times)
                    .iterator()
                    .next();
            report.row(count, String.format(Locale.ROOT, "%.0f", MatchingBenchmark.median(result)));
        }
        return report;
    }

    /** In turns, so that each kind meets the same machine. */
    private Report floods() {
        Report report = new Report(
                "Flood of one coordinator with " + FLOOD_AGENTS + " agents: " + flood
                        + " tasks over five priorities, median of " + times,
                "fairness keys",
                "limits that a task uses",
                "tasks/s",
                "share of that without either",
                "coordinator, µs a task",
                "Redis, µs a task");
        try (Cluster cluster = new Cluster();
                CoordinatorSide side =
                        new CoordinatorSide(cluster, FLOOD_AGENTS, FLOOD_IN_FLIGHT / FLOOD_AGENTS).working()) {
            for (int i = 0; i < MAX_LIMITS; i++) {
                cluster.put("/limits/" + Submitter.LIMIT + i, "{\"concurrency\":1000000000}");
            }
            side.flood("warm", 10 * flood, 0);
            Map<Kind, List<Flood>> floods = new LinkedHashMap<>();
            for (int time = 0; time < times; time++) {
                for (Kind kind : KINDS) {
                    floods.computeIfAbsent(kind, one -> new ArrayList<>()).add(flood(side, kind, "flood" + time));
                }
            }
            floods.forEach((kind, all) -> report.row(
                    kind.keys,
                    kind.limits,
                    String.format(Locale.ROOT, "%.0f", median(all, Flood::perSecond)),
                    String.format(
                            Locale.ROOT,
                            "%.2f",
                            median(all, Flood::perSecond) / median(floods.get(KINDS.get(0)), Flood::perSecond)),
                    String.format(Locale.ROOT, "%.1f", median(all, Flood::coordinator)),
                    String.format(Locale.ROOT, "%.1f", median(all, Flood::redis))));
        }
        return report;
    }

    private Flood flood(CoordinatorSide side, Kind kind, String run) {
        Map<String, Duration> before = side.cpuByProcess();
        String name = run + "k" + kind.keys + "l" + kind.limits;
        double perSecond = side.flood(new Submitter.Order(name, flood, 0, "all", 0, kind.keys, kind.limits));
        Map<String, Duration> after = side.cpuByProcess();
        return new Flood(perSecond, spent(before, after, "coordinator"), spent(before, after, "Redis"));
    }

    private double spent(Map<String, Duration> before, Map<String, Duration> after, String process) {
        return after.get(process).minus(before.get(process)).toNanos() / 1e3 / flood;
    }

    private static double median(List<Flood> floods, ToDoubleFunction<Flood> figure) {
        return Medians.of(floods.stream().mapToDouble(figure).boxed().toList());
    }

    private record Kind(int keys, int limits) {}

    private record Flood(double perSecond, double coordinator, double redis) {}

    private Report reserved() {
        Report report = new Report(
                "Scripts: processor time of Redis, µs a task, in batches of " + BATCH + " to " + AGENTS + " agents",
                "limits that it uses",
                "reserve",
                "settle");
        try (LocalRedis server = LocalRedis.startInstalled(Files.createTempDirectory("limits"), LocalStack.freePort());
                RedisClient client = RedisClient.create(server.url());
                Redis redis = new Redis(client, 0)) {
            Map<Integer, List<Double>> reserve = new HashMap<>();
            Map<Integer, List<Double>> settle = new HashMap<>();
            for (int time = -1; time < times; time++) {
                for (int count : uses) {
                    double[] round = round(redis, count);
                    if (time >= 0) {
                        reserve.computeIfAbsent(count, one -> new ArrayList<>()).add(round[0]);
                        settle.computeIfAbsent(count, one -> new ArrayList<>()).add(round[1]);
                    }
                }
            }
            for (int count : uses) {
                report.row(
                        count,
                        String.format(Locale.ROOT, "%.1f", Medians.of(reserve.get(count))),
                        String.format(Locale.ROOT, "%.1f", Medians.of(settle.get(count))));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return report;
    }

    /** @return processor time of Redis in µs a task, for reserving and for settling it */
    private double[] round(Redis redis, int count) {
        redis.sync().flushall();
        ScriptsBenchmark.markIndexComplete(redis);
        redis.sync().set("limits:version", "topic 1");
        for (int agent = 0; agent < AGENTS; agent++) {
            redis.sync().hset(Keys.agent("agent-" + agent), Map.of("status", "active", "capacity", "1000000"));
        }
        Map<String, Limit> definitions = new HashMap<>();
        Map<String, Long> used = new HashMap<>();
        for (int i = 0; i < count; i++) {
            definitions.put("limit-" + i, new Limit((long) tasks, null, null, null));
            used.put("limit-" + i, 1L);
        }
        LimitBook book = new LimitBook("topic 1", definitions);
        Reservations reservations = new Reservations(redis, "bench");
        Instant now = Instant.now();
        List<List<WaitingTask>> batches = new ArrayList<>();
        for (int from = 0; from < tasks; from += BATCH) {
            List<WaitingTask> batch = new ArrayList<>(BATCH);
            for (int i = from; i < from + BATCH; i++) {
                Task task =
                        Task.of("task-" + i, Json.object(), Requirements.NONE).accepted("task-" + i, now);
                batch.add(new WaitingTask(task, new Position(Priority.NORMAL, i % 12, i), now, 250));
            }
            batches.add(batch);
        }
        double before = ScriptsBenchmark.cpuSeconds(redis);
        for (List<WaitingTask> batch : batches) {
            List<Placement> placements = batch.stream()
                    .map(waiting -> new Placement(waiting, ScriptsBenchmark.agentOf(waiting), used))
                    .toList();
            reservations.reserve(placements, book, now).join();
        }
        double between = ScriptsBenchmark.cpuSeconds(redis);
        batches.forEach(batch -> ScriptsBenchmark.settle(redis, batch, now));
        double after = ScriptsBenchmark.cpuSeconds(redis);
        return new double[] {(between - before) * 1e6 / tasks, (after - between) * 1e6 / tasks};
    }
}

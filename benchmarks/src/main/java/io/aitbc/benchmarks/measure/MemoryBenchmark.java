package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Memory of a 250-byte task while it waits, while it is in flight, and once it has ended. */
@Command(name = "memory", description = "Bytes per waiting, in-flight and finished task, in coordinator and Redis.")
public final class MemoryBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final Duration TIMEOUT = Duration.ofMinutes(5);
    private static final Pattern KEYS = Pattern.compile("keys=(\\d+),expires=(\\d+)");

    @Option(names = "--tasks", defaultValue = "100000", description = "Number of tasks")
    private int tasks;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions")
    private int times;

    @Override
    List<Report> measure() {
        List<Usage> waiting = new ArrayList<>();
        List<Usage> held = new ArrayList<>();
        List<Usage> finished = new ArrayList<>();
        try (Cluster cluster = new Cluster();
                CoordinatorSide side = new CoordinatorSide(cluster, AGENTS, tasks / AGENTS).working()) {
            // One-time allocations of the first tasks do not count.
            side.flood("warm", tasks, 0);
            for (int i = 0; i < times; i++) {
                side.resting();
                Usage empty = Usage.of(cluster, side);
                long known = keys(side);
                side.reset();
                side.pause();
                side.submit(new Submitter.Order("waiting" + i, tasks, 0, "all", 0));
                Cluster.await("all to be known", TIMEOUT, () -> keys(side) >= known + tasks);
                waiting.add(Usage.of(cluster, side).minus(empty));
                side.resume();
                Cluster.await("all to be given", TIMEOUT, () -> held(side) == tasks);
                held.add(Usage.of(cluster, side).minus(empty));
                side.working();
                side.awaitSettled(tasks);
                finished.add(Usage.of(cluster, side).minus(empty));
            }
        }
        Report report = new Report("Memory, bytes per task, median of " + times, "state", "coordinator", "Redis")
                .bars("bytes", 1, 2);
        report(report, "waiting", waiting);
        report(report, "in flight", held);
        report(report, "finished, as long as it is kept", finished);
        return List.of(report);
    }

    private void report(Report report, String state, List<Usage> usages) {
        report.row(
                state,
                perTask(usages.stream().map(usage -> (double) usage.heap)),
                perTask(usages.stream().map(usage -> (double) usage.redis)));
    }

    private String perTask(Stream<Double> bytes) {
        return String.format(Locale.ROOT, "%.0f", Medians.of(bytes.toList()) / tasks);
    }

    private static long held(CoordinatorSide side) {
        return side.redis().sync().smembers("agents:known").stream()
                .mapToLong(id -> side.redis().sync().hlen("agent:" + id + ":inflight"))
                .sum();
    }

    /** Tasks do not expire, as some other keys do. */
    private static long keys(CoordinatorSide side) {
        Matcher counts = KEYS.matcher(side.redis().sync().info("keyspace"));
        return counts.find() ? Long.parseLong(counts.group(1)) - Long.parseLong(counts.group(2)) : 0;
    }

    private record Usage(long heap, long redis) {
        static Usage of(Cluster cluster, CoordinatorSide side) {
            return new Usage(cluster.coordinatorHeapBytes(), side.redisBytes());
        }

        Usage minus(Usage before) {
            return new Usage(heap - before.heap, redis - before.redis);
        }
    }
}

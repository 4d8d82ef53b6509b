package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.report.Report;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What a constant load takes of each process: the slopes of {@code docs/scaling.md} and {@code agentctl size}. */
@Command(name = "size", description = "Cores, memory and disk of each process under constant loads.")
public final class SizeBenchmark extends Benchmark {
    private static final int CAPACITY = 100;

    @Option(names = "--agents", split = ",", defaultValue = "10,100,1000", description = "Numbers of agents")
    private List<Integer> agentCounts = List.of();

    @Option(
            names = "--rates",
            split = ",",
            defaultValue = "0,100,1000,5000,10000",
            description = "Tasks per second; 0: as fast as possible")
    private List<Integer> rates = List.of();

    @Option(names = "--task-bytes", split = ",", defaultValue = "" + Submitter.BYTES, description = "Sizes of a task")
    private List<Integer> sizes = List.of();

    @Option(names = "--coordinators", defaultValue = "1", description = "Number of coordinators")
    private int coordinators;

    @Option(names = "--seconds", defaultValue = "20", description = "Seconds per measurement")
    private int seconds;

    @Option(names = "--flood", defaultValue = "400000", description = "Tasks that are submitted as fast as possible")
    private int flood;

    @Option(names = "--warm-up", defaultValue = "600000", description = "Tasks before the first measurement")
    private int warmUp;

    @Override
    List<Report> measure() {
        Report report = new Report(
                "Size",
                "agents",
                "tasks/s",
                "bytes/task",
                "cores: coordinators",
                "Redis",
                "Kafka",
                "µs/task: coordinators",
                "Redis",
                "Kafka",
                "Redis, bytes/task",
                "Kafka, bytes/task");
        for (int agents : agentCounts) {
            try (Cluster cluster = new Cluster(coordinators);
                    CoordinatorSide side = new CoordinatorSide(cluster, agents, CAPACITY).working()) {
                measureIdle(report, agents, side);
                side.flood("warm", warmUp, 0);
                for (int bytes : sizes) {
                    for (int rate : rates) {
                        measure(report, agents, rate, bytes, cluster, side);
                    }
                }
            }
        }
        return List.of(report);
    }

    /** Heartbeats, and what processes do periodically. */
    private void measureIdle(Report report, int agents, CoordinatorSide side) {
        Map<String, Duration> before = side.cpuByProcess();
        Cluster.pause(Duration.ofSeconds(seconds));
        Map<String, Double> cores = cores(before, side, seconds);
        report.row(
                agents,
                0,
                "",
                text(cores, "coordinator"),
                text(cores, "Redis"),
                text(cores, "Kafka"),
                "",
                "",
                "",
                "",
                "");
    }

    private void measure(Report report, int agents, int rate, int bytes, Cluster cluster, CoordinatorSide side) {
        int count = rate == 0 ? flood : rate * seconds;
        long redis = side.redisBytes();
        long kafka = cluster.kafkaBytes();
        Map<String, Duration> before = side.cpuByProcess();
        long start = System.nanoTime();
        side.reset();
        side.submit(new Submitter.Order("size-" + bytes + "-" + rate, count, rate, "all", 0, 0, 0, bytes));
        side.awaitSettled(count);
        double elapsed = (System.nanoTime() - start) / 1e9;
        Map<String, Double> cores = cores(before, side, elapsed);
        double achieved = count / elapsed;
        report.row(
                agents,
                text("%.0f", achieved),
                bytes,
                text(cores, "coordinator"),
                text(cores, "Redis"),
                text(cores, "Kafka"),
                text("%.0f", cores.get("coordinator") * 1e6 / achieved),
                text("%.0f", cores.get("Redis") * 1e6 / achieved),
                text("%.0f", cores.get("Kafka") * 1e6 / achieved),
                (side.redisBytes() - redis) / count,
                (cluster.kafkaBytes() - kafka) / count);
    }

    private static Map<String, Double> cores(Map<String, Duration> before, CoordinatorSide side, double seconds) {
        Map<String, Double> cores = new HashMap<>();
        side.cpuByProcess()
                .forEach((process, cpu) ->
                        cores.put(process, cpu.minus(before.get(process)).toNanos() / 1e9 / seconds));
        return cores;
    }

    private static String text(Map<String, Double> cores, String process) {
        return text("%.3f", cores.get(process));
    }

    private static String text(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}

package io.aitbc.benchmarks;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** How many tasks go through in a second, beside a bare copy through the same topics. */
@Command(name = "throughput", description = "Tasks per second from submission to settled result, beside bare clients.")
final class ThroughputBenchmark extends Benchmark {
    private static final int IN_FLIGHT = 10_000;

    @Option(names = "--agents", split = ",", defaultValue = "10,100,1000", description = "How many agents")
    private List<Integer> sizes = List.of();

    @Option(names = "--tasks", defaultValue = "100000", description = "How many tasks each time")
    private int tasks;

    @Option(names = "--drain", defaultValue = "500000", description = "How many that wait already; 0: not measured")
    private int waiting;

    @Option(names = "--times", defaultValue = "5", description = "How often, each side in turn")
    private int times;

    @Option(names = "--warm-up", defaultValue = "200000", description = "How many tasks before")
    private int warmUp;

    @Override
    List<Report> measure() {
        Report report = new Report(
                "Throughput: 250-byte tasks over five priorities, from the first submitted to the last settled, median of "
                        + times,
                "agents",
                "what",
                "coordinator, tasks/s",
                "raw relay, tasks/s",
                "share of raw",
                "coordinator and Redis, processor µs/task",
                "of that Redis",
                "raw relay, µs/task");
        sizes.forEach(agents -> measure(agents, report));
        return List.of(report);
    }

    private void measure(int agents, Report report) {
        try (Cluster cluster = new Cluster();
                CoordinatorSide coordinator = new CoordinatorSide(cluster, agents, IN_FLIGHT / agents).working();
                RawSide raw = new RawSide(cluster, agents)) {
            coordinator.flood("warm", warmUp, 0);
            raw.flood("warm", warmUp, 0);
            Pairs floods = new Pairs();
            for (int i = 0; i < times; i++) {
                String run = "flood" + i;
                floods.add(raw, coordinator, tasks, side -> side.flood(run, tasks, 0));
            }
            floods.report(report, agents, "submitted as fast as can be");
            if (waiting > 0) {
                Pairs drains = new Pairs();
                for (int i = 0; i < Math.max(1, times / 2); i++) {
                    String run = "drain" + i;
                    drains.add(raw, coordinator, waiting, side -> side.drain(run, waiting, "all"));
                }
                drains.report(report, agents, waiting + " that wait");
            }
        }
    }

    private interface Measurement {
        double perSecond(Side side);
    }

    /** The same on both sides, one after the other, several times. */
    private static final class Pairs {
        private final List<Double> coordinator = new ArrayList<>();
        private final List<Double> raw = new ArrayList<>();
        private final List<Double> shares = new ArrayList<>();
        private final List<Double> coordinatorUs = new ArrayList<>();
        private final List<Double> redisUs = new ArrayList<>();
        private final List<Double> rawUs = new ArrayList<>();

        void add(RawSide rawSide, CoordinatorSide coordinatorSide, int tasks, Measurement measurement) {
            double rawRate = measure(rawSide, tasks, measurement, rawUs);
            Duration before = coordinatorSide.redisCpu();
            double rate = measure(coordinatorSide, tasks, measurement, coordinatorUs);
            redisUs.add(coordinatorSide.redisCpu().minus(before).toNanos() / 1e3 / tasks);
            coordinator.add(rate);
            raw.add(rawRate);
            shares.add(rate / rawRate);
            System.out.printf(Locale.ROOT, "  %.0f tasks/s, raw %.0f%n", rate, rawRate);
        }

        private static double measure(Side side, int tasks, Measurement measurement, List<Double> us) {
            Duration before = side.cpu();
            double rate = measurement.perSecond(side);
            us.add(side.cpu().minus(before).toNanos() / 1e3 / tasks);
            return rate;
        }

        void report(Report report, int agents, String what) {
            report.row(
                    agents,
                    what,
                    format("%.0f", coordinator),
                    format("%.0f", raw),
                    String.format(Locale.ROOT, "%.0f %%", 100 * Medians.of(shares)),
                    format("%.0f", coordinatorUs),
                    format("%.0f", redisUs),
                    format("%.0f", rawUs));
        }

        private static String format(String format, List<Double> values) {
            return String.format(Locale.ROOT, format, Medians.of(values));
        }
    }
}

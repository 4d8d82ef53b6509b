package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.RawSide;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Tasks per second, compared with a plain copy through the same topics. */
@Command(
        name = "throughput",
        description = "Tasks per second from submission to settled result, compared with bare clients.")
public final class ThroughputBenchmark extends Benchmark {
    private static final int IN_FLIGHT = 10_000;

    @Option(names = "--agents", split = ",", defaultValue = "10,100,1000", description = "Numbers of agents")
    private List<Integer> sizes = List.of();

    @Option(names = "--tasks", defaultValue = "100000", description = "Tasks per measurement")
    private int tasks;

    @Option(names = "--drain", defaultValue = "500000", description = "Size of the backlog to drain; 0: not measured")
    private int waiting;

    @Option(names = "--drain-agents", defaultValue = "100", description = "Number of agents that drain it")
    private int drainAgents;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions, the sides in turn")
    private int times;

    @Option(names = "--warm-up", defaultValue = "2000000", description = "Tasks before the first measurement")
    private int warmUp;

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "Throughput: 250-byte tasks over five priorities, from the first submission to the last settlement, median of "
                                + times,
                        "agents",
                        "what",
                        "coordinator, tasks/s",
                        "raw relay, tasks/s",
                        "share of raw",
                        "raw relay with a fence in Redis, tasks/s",
                        "share of raw")
                .bars("tasks/s", 2, 3, 5);
        Report costs = Measured.costs("coordinator or relay", times).stackedBars("µs per task", 3, 4, 5, 6, 7);
        sizes.forEach(agents -> measure(agents, report, costs));
        return List.of(report, costs);
    }

    private void measure(int agents, Report report, Report costs) {
        try (Cluster cluster = new Cluster();
                CoordinatorSide coordinator = new CoordinatorSide(cluster, agents, IN_FLIGHT / agents).working();
                RawSide raw = RawSide.bare(cluster, agents);
                RawSide fenced = RawSide.fenced(cluster, agents)) {
            coordinator.flood("warm", warmUp, 0);
            raw.flood("warm", warmUp, 0);
            fenced.flood("warm", warmUp, 0);
            Rounds floods = new Rounds();
            for (int i = 0; i < times; i++) {
                String run = "flood" + i;
                floods.add(raw, fenced, coordinator, tasks, side -> side.flood(run, tasks, 0));
            }
            floods.report(report, costs, agents, "flood");
            if (waiting > 0 && agents == drainAgents) {
                Rounds drains = new Rounds();
                for (int i = 0; i < times; i++) {
                    String run = "drain" + i;
                    drains.add(raw, fenced, coordinator, waiting, side -> side.drain(run, waiting, "all"));
                }
                drains.report(report, costs, agents, "drain of " + waiting);
            }
        }
    }

    /** Measures all sides in turn, several times. */
    private static final class Rounds {
        private final Measured coordinator = new Measured("coordinator");
        private final Measured raw = new Measured("raw relay");
        private final Measured fenced = new Measured("with a fence");
        private final List<Double> shares = new ArrayList<>();
        private final List<Double> fencedShares = new ArrayList<>();

        void add(
                RawSide rawSide,
                RawSide fencedSide,
                CoordinatorSide coordinatorSide,
                int tasks,
                Measured.Measurement measurement) {
            double rawRate = raw.add(rawSide, tasks, measurement);
            double fencedRate = fenced.add(fencedSide, tasks, measurement);
            double rate = coordinator.add(coordinatorSide, tasks, measurement);
            shares.add(rate / rawRate);
            fencedShares.add(fencedRate / rawRate);
            System.out.printf(Locale.ROOT, "  %.0f tasks/s, raw %.0f, fenced %.0f%n", rate, rawRate, fencedRate);
        }

        void report(Report report, Report costs, int agents, String what) {
            report.row(
                    agents,
                    what,
                    coordinator.rate(),
                    raw.rate(),
                    percent(shares),
                    fenced.rate(),
                    percent(fencedShares));
            coordinator.report(costs, agents, what);
            raw.report(costs, agents, what);
            fenced.report(costs, agents, what);
        }

        private static String percent(List<Double> shares) {
            return String.format(Locale.ROOT, "%.0f %%", 100 * Medians.of(shares));
        }
    }
}

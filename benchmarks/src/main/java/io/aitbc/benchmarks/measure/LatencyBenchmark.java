package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.RawSide;
import io.aitbc.benchmarks.load.Side;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.load.Timestamps;
import io.aitbc.benchmarks.report.Report;
import java.util.List;
import java.util.Locale;
import org.HdrHistogram.Histogram;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Time until a task is assigned, and until it is settled, at a constant rate. */
@Command(
        name = "latency",
        description = "Time from the scheduled submission of a task until its agent has it, and until it is settled.")
public final class LatencyBenchmark extends Benchmark {
    @Option(names = "--rates", split = ",", defaultValue = "100,1000,5000", description = "Tasks per second")
    private List<Integer> rates = List.of();

    @Option(names = "--agents", defaultValue = "100", description = "Number of agents")
    private int agents;

    @Option(names = "--seconds", defaultValue = "10", description = "Seconds per measurement")
    private int seconds;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions, the sides in turn; all samples count")
    private int times;

    @Option(names = "--warm-up", defaultValue = "200000", description = "Tasks before the first measurement")
    private int warmUp;

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "Latency in ms, from the scheduled submission; " + agents + " agents",
                        "tasks/s",
                        "side",
                        "assigned: p50",
                        "p99",
                        "p99.9",
                        "settled: p50",
                        "p99",
                        "p99.9")
                .bars("ms until the agent has it", 2, 3, 4);
        try (Cluster cluster = new Cluster();
                CoordinatorSide coordinator = new CoordinatorSide(cluster, agents, 100).working();
                RawSide raw = RawSide.bare(cluster, agents)) {
            coordinator.flood("warm", warmUp, 0);
            raw.flood("warm", warmUp, 0);
            for (int rate : rates) {
                measure(report, rate, raw, coordinator);
            }
        }
        return List.of(report);
    }

    private void measure(Report report, int rate, RawSide raw, CoordinatorSide coordinator) {
        Latencies ofRaw = new Latencies();
        Latencies ofCoordinator = new Latencies();
        for (int i = 0; i < times; i++) {
            String run = "rate" + rate + "-" + i;
            ofRaw.add(raw, run, rate, seconds);
            ofCoordinator.add(coordinator, run, rate, seconds);
        }
        ofCoordinator.report(report, rate, "coordinator");
        ofRaw.report(report, rate, "raw relay");
    }

    private static final class Latencies {
        private final Histogram reached = Timestamps.histogram();
        private final Histogram settled = Timestamps.histogram();

        void add(Side side, String run, int rate, int seconds) {
            side.reset();
            int count = rate * seconds;
            side.submit(new Submitter.Order(run, count, rate, "all", 0));
            side.awaitSettled(count);
            reached.add(side.untilReached());
            settled.add(side.untilSettled(run));
        }

        void report(Report report, int rate, String side) {
            report.row(
                    rate,
                    side,
                    ms(reached, 50),
                    ms(reached, 99),
                    ms(reached, 99.9),
                    ms(settled, 50),
                    ms(settled, 99),
                    ms(settled, 99.9));
        }

        private static String ms(Histogram histogram, double percentile) {
            return String.format(Locale.ROOT, "%.1f", histogram.getValueAtPercentile(percentile) / 1e3);
        }
    }
}

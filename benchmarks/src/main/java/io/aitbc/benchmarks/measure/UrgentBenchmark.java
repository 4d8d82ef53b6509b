package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.load.Timestamps;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.HdrHistogram.Histogram;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Time until an urgent task starts behind a large backlog. */
@Command(name = "urgent", description = "Time until an agent has an urgent task, behind a backlog of low ones.")
public final class UrgentBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final int PER_SECOND = 20;
    /** Low tasks settled before the first urgent one is submitted. */
    private static final int WARM_UP = 20_000;

    @Option(names = "--backlogs", split = ",", defaultValue = "0,1000000", description = "Sizes of the backlog")
    private List<Integer> backlogs = List.of();

    @Option(names = "--seconds", defaultValue = "10", description = "Seconds of urgent tasks, 20 per second")
    private int seconds;

    @Option(
            names = "--capacities",
            split = ",",
            defaultValue = "100,10",
            description = "Capacities of each of 100 agents")
    private List<Integer> capacities = List.of();

    @Option(names = "--times", defaultValue = "5", description = "Repetitions; all samples count")
    private int times;

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "Urgent tasks, ms from the scheduled submission until an agent has them, behind a backlog of low ones",
                        "capacity of each agent",
                        "backlog of low tasks",
                        "p50",
                        "p99",
                        "max",
                        "low tasks left at the end")
                .bars("ms", 2, 3);
        for (int capacity : capacities) {
            try (Cluster cluster = new Cluster();
                    CoordinatorSide side = new CoordinatorSide(cluster, AGENTS, capacity).working()) {
                side.flood("warm", 200_000, 0);
                for (int backlog : backlogs) {
                    measure(report, side, capacity, backlog);
                }
            }
        }
        return List.of(report);
    }

    private void measure(Report report, CoordinatorSide side, int capacity, int backlog) {
        Histogram all = Timestamps.histogram();
        List<Double> left = new ArrayList<>();
        for (int i = 0; i < times; i++) {
            String run = backlog + "-" + i;
            if (backlog > 0) {
                side.fill("low" + run, backlog);
                side.release(Math.min(WARM_UP, backlog));
            }
            int urgent = PER_SECOND * seconds;
            side.reset();
            side.submit(new Submitter.Order(Submitter.URGENT + run, urgent, PER_SECOND, "urgent", 0));
            Cluster.await(
                    "all urgent tasks",
                    Duration.ofMinutes(2),
                    () -> side.urgentUntilReached().getTotalCount() >= urgent);
            left.add((double) Math.max(0, side.waiting("low")));
            all.add(side.urgentUntilReached());
        }
        report.row(
                capacity,
                backlog,
                ms(all, 50),
                ms(all, 99),
                ms(all, 100),
                String.format(Locale.ROOT, "%.0f", Medians.of(left)));
    }

    private static String ms(Histogram histogram, double percentile) {
        return String.format(Locale.ROOT, "%.1f", histogram.getValueAtPercentile(percentile) / 1e3);
    }
}

package io.aitbc.benchmarks;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.HdrHistogram.Histogram;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** How soon an urgent task begins while very many others are waiting, and are being done. */
@Command(name = "urgent", description = "Time until an agent has an urgent task, behind many low ones.")
final class UrgentBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final int PER_SECOND = 20;
    /** So many low ones are settled before the first urgent one comes. */
    private static final int WARM_UP = 20_000;

    @Option(names = "--backlogs", split = ",", defaultValue = "0,1000000", description = "Low tasks that wait")
    private List<Integer> backlogs = List.of();

    @Option(names = "--seconds", defaultValue = "10", description = "How long urgent ones come, 20 a second")
    private int seconds;

    @Option(names = "--capacities", split = ",", defaultValue = "100,10", description = "Of each of 100 agents")
    private List<Integer> capacities = List.of();

    @Option(names = "--times", defaultValue = "5", description = "How often; all together are counted")
    private int times;

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "Urgent tasks, ms from when they were to be submitted until an agent has them, while agents are busy with low ones",
                        "capacity of each agent",
                        "low tasks that wait",
                        "p50",
                        "p99",
                        "most",
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

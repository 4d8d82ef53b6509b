package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.BacklogLoad;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.contracts.Priority;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Tenants that share agents: what their keys cost, how long a small one waits, and whether shares are as wanted. */
@Command(name = "fairness", description = "Fairness keys: cost per task, waiting of small tenants, shares of many.")
public final class FairnessBenchmark extends Benchmark {
    private static final Duration TIMEOUT = Duration.ofMinutes(10);
    private static final int AGENTS = 100;
    private static final int CAPACITY = 10;
    private static final int SMALL = 10;
    private static final int TENANTS = 50;
    private static final int WEIGHTS = 10;
    private static final int WINDOW = 1_000;

    @Option(
            names = "--keys",
            split = ",",
            defaultValue = "0,1,100,10000,100000",
            description = "Numbers of keys in the backlog of one matcher; 0: tasks without a key")
    private List<Integer> keys = List.of();

    @Option(names = "--tasks", defaultValue = "1000000", description = "Waiting tasks of the large tenant")
    private int tasks;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions")
    private int times;

    @Override
    List<Report> measure() {
        return List.of(cost(), small(), shares());
    }

    private Report cost() {
        Report report = new Report(
                "Matching with 200,000 waiting tasks (JMH): arrival, placement, answer and release of one task",
                "keys",
                "ns",
                "bytes");
        for (int count : keys) {
            RunResult result = MatchingBenchmark.run(
                            new OptionsBuilder()
                                    .include(FairPlacements.class.getName())
                                    .param("keys", "" + count),
                            times)
                    .iterator()
                    .next();
            report.row(
                    count,
                    String.format(Locale.ROOT, "%.0f", MatchingBenchmark.median(result)),
                    String.format(Locale.ROOT, "%.0f", MatchingBenchmark.allocated(result)));
        }
        return report;
    }

    private Report small() {
        Report report = new Report(
                "Two coordinators, " + AGENTS + " agents: seconds until ten tasks of a small tenant have started",
                "waiting tasks of the large tenant",
                "median",
                "worst");
        try (Cluster cluster = new Cluster(2, List.of("-Xms1g", "-Xmx1g"));
                BacklogLoad load = new BacklogLoad(cluster.bootstrapServers())) {
            load.submit("large", tasks, i -> Priority.NORMAL, i -> "\"fairness_key\":\"large\"");
            Cluster.await("all to be read", TIMEOUT, () -> waiting(cluster) >= tasks);
            IntStream.range(0, AGENTS).forEach(i -> load.agent("agent-" + i, "any", CAPACITY));
            Cluster.await("assignments", TIMEOUT, () -> load.assigned() > 10_000);
            double left = tasks;
            List<Double> seconds = new ArrayList<>();
            for (int i = 0; i < times; i++) {
                String name = "small-" + i;
                long start = System.nanoTime();
                load.submit(name, SMALL, one -> Priority.NORMAL, one -> "\"fairness_key\":\"" + name + "\"");
                Cluster.await("small tasks", TIMEOUT, () -> load.assigned(name) == SMALL);
                seconds.add((load.lastAssignedNanos(name) - start) / 1e9);
                left = waiting(cluster);
            }
            report.row(
                    String.format(Locale.ROOT, "%,d, %,.0f at the end", tasks, left),
                    String.format(Locale.ROOT, "%.2f", Medians.of(seconds)),
                    String.format(
                            Locale.ROOT,
                            "%.2f",
                            seconds.stream().mapToDouble(one -> one).max().orElse(0)));
        }
        return report;
    }

    private static double waiting(Cluster cluster) {
        return cluster.metric(0, "coordinator_lane_waiting") + cluster.metric(1, "coordinator_lane_waiting");
    }

    /** Tenants 1 to 50, with weights from 1 to 10. */
    private Report shares() {
        Report report = new Report(
                "Two coordinators, " + TENANTS + " tenants with weights 1 to 10: deviation from the share, in % of "
                        + WINDOW + " assignments",
                "assignments",
                "worst tenant, all",
                "worst tenant in a window, median",
                "worst of all windows");
        try (Cluster cluster = new Cluster(2, List.of("-Xms1g", "-Xmx1g"));
                BacklogLoad load = new BacklogLoad(cluster.bootstrapServers())) {
            for (int tenant = 0; tenant < TENANTS; tenant++) {
                String fields = "\"fairness_key\":\"tenant-" + tenant + "\",\"fairness_weight\":" + weight(tenant);
                load.submit("tenant-" + tenant, 400 * weight(tenant), i -> Priority.NORMAL, i -> fields);
            }
            int all = 400
                    * IntStream.range(0, TENANTS).map(FairnessBenchmark::weight).sum();
            Cluster.await("all to be read", TIMEOUT, () -> waiting(cluster) >= all);
            IntStream.range(0, AGENTS).forEach(i -> load.agent("agent-" + i, "any", CAPACITY));
            Cluster.await("all to be assigned", TIMEOUT, () -> load.assigned() == all);
            // Until the first tenant has no more tasks.
            List<String> order = load.order().subList(0, all * 3 / 4 / WINDOW * WINDOW);
            List<Double> windows = new ArrayList<>();
            for (int from = 0; from < order.size(); from += WINDOW) {
                windows.add(deviation(order.subList(from, from + WINDOW)));
            }
            report.row(
                    order.size(),
                    percent(deviation(order)),
                    percent(Medians.of(windows)),
                    percent(windows.stream().mapToDouble(one -> one).max().orElse(0)));
        }
        return report;
    }

    private static int weight(int tenant) {
        return 1 + tenant % WEIGHTS;
    }

    /** The largest difference between what a tenant got and its share, as a part of all. */
    private static double deviation(List<String> taskIds) {
        Map<String, Integer> counts = new HashMap<>();
        taskIds.forEach(id -> counts.merge(id.substring(0, id.lastIndexOf('-')), 1, Integer::sum));
        double sum = IntStream.range(0, TENANTS).map(FairnessBenchmark::weight).sum();
        return IntStream.range(0, TENANTS)
                .mapToDouble(tenant -> Math.abs(
                        counts.getOrDefault("tenant-" + tenant, 0) / (double) taskIds.size() - weight(tenant) / sum))
                .max()
                .orElse(0);
    }

    private static String percent(double part) {
        return String.format(Locale.ROOT, "%.2f", 100 * part);
    }
}

package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.Wrk;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Accepted submissions over REST, by wrk. */
@Command(name = "rest", description = "Submissions over REST, singly and in batches; needs wrk.")
public final class RestBenchmark extends Benchmark {
    private static final int BATCH = 100;

    @Option(names = "--seconds", defaultValue = "10", description = "Seconds per measurement")
    private int seconds;

    @Option(names = "--connections", defaultValue = "32", description = "Number of connections")
    private int connections;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions")
    private int times;

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "REST: wrk with " + connections + " connections, median of " + times,
                        "request",
                        "requests/s",
                        "tasks/s",
                        "p99, ms",
                        "responses other than 2xx")
                .bars("tasks/s", 2);
        String task = "{\"task_data\":{\"text\":\"" + "x".repeat(190) + "\"},\"priority\":\"normal\"}";
        try (Cluster cluster = new Cluster();
                CoordinatorSide side = new CoordinatorSide(cluster, 100, 100).working()) {
            side.flood("warm", 100_000, 0);
            measure(report, cluster, "POST /tasks/submit", "/tasks/submit", task, 1);
            measure(
                    report,
                    cluster,
                    "POST /tasks/submit/batch, " + BATCH + " each",
                    "/tasks/submit/batch",
                    "[" + String.join(",", Collections.nCopies(BATCH, task)) + "]",
                    BATCH);
        }
        return List.of(report);
    }

    private void measure(Report report, Cluster cluster, String name, String path, String body, int tasksEach) {
        List<Double> rates = new ArrayList<>();
        List<Double> p99 = new ArrayList<>();
        long refused = 0;
        // The first run is a warm-up.
        for (int i = 0; i <= times; i++) {
            Wrk wrk = Wrk.run(
                    cluster.folder(),
                    "POST",
                    cluster.restUrl() + path,
                    Map.of("Content-Type", "application/json"),
                    body,
                    connections,
                    seconds);
            if (i > 0) {
                rates.add(wrk.requestsPerSecond());
                p99.add(wrk.p99Ms());
                refused += wrk.hasFailures() ? 1 : 0;
            }
        }
        double rate = Medians.of(rates);
        report.row(
                name,
                String.format(Locale.ROOT, "%.0f", rate),
                String.format(Locale.ROOT, "%.0f", rate * tasksEach),
                String.format(Locale.ROOT, "%.1f", Medians.of(p99)),
                refused == 0 ? "none" : "in " + refused + " of " + times);
    }
}

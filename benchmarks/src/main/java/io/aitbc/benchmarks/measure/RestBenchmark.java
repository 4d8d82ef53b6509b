package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Accepted submissions over REST, by wrk. */
@Command(name = "rest", description = "Submissions over REST, singly and in batches; needs wrk.")
public final class RestBenchmark extends Benchmark {
    private static final int BATCH = 100;
    private static final Pattern RATE = Pattern.compile("Requests/sec: +([0-9.]+)");
    private static final Pattern P99 = Pattern.compile("99% +([0-9.]+)(us|ms|s)");
    private static final Map<String, Double> IN_MS = Map.of("us", 0.001, "ms", 1.0, "s", 1_000.0);

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
            String said = wrk(cluster, path, body);
            if (i > 0) {
                rates.add(Double.parseDouble(find(RATE, said).group(1)));
                Matcher latency = find(P99, said);
                p99.add(Double.parseDouble(latency.group(1)) * IN_MS.get(latency.group(2)));
                refused += said.contains("Non-2xx") ? 1 : 0;
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

    private String wrk(Cluster cluster, String path, String body) {
        try {
            Path script = Files.writeString(
                    cluster.folder().resolve("wrk.lua"),
                    "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.body = '" + body
                            + "'\n");
            Process wrk = new ProcessBuilder(
                            "wrk",
                            "-t1",
                            "-c" + connections,
                            "-d" + seconds + "s",
                            "--latency",
                            "-s",
                            script.toString(),
                            cluster.restUrl() + path)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            return new String(wrk.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("wrk is needed: on Debian, apt-get install wrk", e);
        }
    }

    private static Matcher find(Pattern pattern, String text) {
        Matcher matcher = pattern.matcher(text);
        if (!matcher.find()) {
            throw new IllegalStateException("unexpected output of wrk: " + text);
        }
        return matcher;
    }
}

package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.Wrk;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.localstack.ProcessCluster;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What security adds to a REST call: the same request to two clusters, one with security off, in turns. */
@Command(name = "security", description = "Cost of security per REST call; needs wrk.")
public final class SecurityBenchmark extends Benchmark {
    private static final String TASK =
            "{\"task_id\":\"read\",\"task_data\":{},\"requirements\":{\"agent_id\":\"none\"}}";

    @Option(names = "--seconds", defaultValue = "5", description = "Seconds per measurement")
    private int seconds;

    @Option(names = "--connections", defaultValue = "16", description = "Number of connections")
    private int connections;

    @Option(names = "--times", defaultValue = "7", description = "Repetitions")
    private int times;

    private record Target(Cluster cluster, Map<String, String> headers) {}

    private record Measured(double perSecond, double cpuMicros) {}

    @Override
    List<Report> measure() {
        Report report = new Report(
                "Security: GET /tasks/{task_id}, wrk with " + connections + " connections, median of " + times,
                "credential",
                "requests/s",
                "CPU of the coordinator per request, µs",
                "ratio of CPU");
        try (Cluster off = new Cluster();
                Cluster on = new Cluster(
                        "--aitbc.security=on",
                        "--aitbc.admin.key=" + ProcessCluster.ADMIN_KEY,
                        "--aitbc.jwt.secret=a secret of 32 bytes for benchmarks",
                        // Counted, and not reached.
                        "--aitbc.limits.admin=1000000",
                        "--aitbc.limits.viewer=1000000")) {
            off.post("/tasks/submit", TASK);
            on.post("/tasks/submit", TASK);
            Map<String, Target> targets = new LinkedHashMap<>();
            targets.put("none: security off", new Target(off, Map.of()));
            targets.put("API key", new Target(on, Map.of("X-API-Key", ProcessCluster.ADMIN_KEY)));
            targets.put(
                    "token, HS256",
                    new Target(
                            on,
                            Map.of(
                                    "Authorization",
                                    "Bearer "
                                            + on.post("/tasks/read/token?expires_in_seconds=3600", "")
                                                    .get("token")
                                                    .asString())));
            report(report, inTurns(targets));
        }
        return List.of(report);
    }

    private Map<String, List<Measured>> inTurns(Map<String, Target> targets) {
        Map<String, List<Measured>> measured = new LinkedHashMap<>();
        // The first round is a warm-up.
        for (int i = 0; i <= times; i++) {
            for (Map.Entry<String, Target> one : targets.entrySet()) {
                Measured result = measure(one.getValue());
                if (i > 0) {
                    measured.computeIfAbsent(one.getKey(), name -> new ArrayList<>())
                            .add(result);
                }
            }
        }
        return measured;
    }

    private Measured measure(Target target) {
        Duration before = target.cluster.coordinatorCpu();
        Wrk wrk = Wrk.run(
                target.cluster.folder(),
                "GET",
                target.cluster.restUrl() + "/tasks/read",
                target.headers,
                "",
                connections,
                seconds);
        if (wrk.hasFailures()) {
            throw new IllegalStateException("not all responses were 2xx");
        }
        double micros = target.cluster.coordinatorCpu().minus(before).toNanos() / 1_000.0;
        return new Measured(wrk.requestsPerSecond(), micros / wrk.requests());
    }

    private static void report(Report report, Map<String, List<Measured>> measured) {
        double bare = cpu(measured.values().iterator().next());
        measured.forEach((name, all) -> report.row(
                name,
                String.format(
                        Locale.ROOT,
                        "%.0f",
                        Medians.of(all.stream().map(Measured::perSecond).toList())),
                String.format(Locale.ROOT, "%.0f", cpu(all)),
                String.format(Locale.ROOT, "%.2f", cpu(all) / bare)));
    }

    private static double cpu(List<Measured> all) {
        return Medians.of(all.stream().map(Measured::cpuMicros).toList());
    }
}

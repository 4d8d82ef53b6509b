package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.PullAgents;
import io.aitbc.benchmarks.report.Report;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Cost of agents that claim their assignments over HTTP. */
@Command(
        name = "pull",
        description = "Cost of agents without Kafka: open claims, and tasks claimed and completed over HTTP.")
public final class PullBenchmark extends Benchmark {
    private static final int BATCH = 500;

    @Option(names = "--agents", split = ",", defaultValue = "100,1000,10000", description = "Numbers of agents")
    private List<Integer> agents = List.of();

    @Option(names = "--coordinators", defaultValue = "2", description = "Number of coordinators")
    private int coordinators;

    @Option(names = "--tasks", defaultValue = "20000", description = "Tasks per measurement")
    private int tasks;

    @Option(names = "--seconds", defaultValue = "30", description = "Seconds of idleness per measurement")
    private int seconds;

    @Override
    List<Report> measure() {
        Report report = new Report(
                "Agents over HTTP: " + coordinators + " coordinators",
                "agents",
                "idle: coordinators, share of a core",
                "Redis",
                "tasks/s",
                "per task: coordinators, ms",
                "Redis",
                "Kafka",
                "failed requests");
        try (Cluster cluster = new Cluster(coordinators);
                ChildProcess clients =
                        new ChildProcess(PullAgents.class, cluster.restUrls().toArray())) {
            int joined = 0;
            for (int count : agents) {
                clients.ask("join", joined, count);
                joined = count;
                // The first is a warm-up.
                run(cluster);
                measure(report, cluster, clients, count);
            }
            clients.ask("leave");
        }
        return List.of(report);
    }

    private void measure(Report report, Cluster cluster, ChildProcess clients, int count) {
        Duration coordinatorsBefore = cluster.coordinatorCpu();
        Duration redisBefore = cluster.redisCpu();
        Cluster.pause(Duration.ofSeconds(seconds));
        double idleCoordinators = share(cluster.coordinatorCpu().minus(coordinatorsBefore));
        double idleRedis = share(cluster.redisCpu().minus(redisBefore));
        coordinatorsBefore = cluster.coordinatorCpu();
        redisBefore = cluster.redisCpu();
        Duration kafkaBefore = cluster.kafkaCpu();
        double took = run(cluster);
        report.row(
                count,
                text("%.2f", idleCoordinators),
                text("%.2f", idleRedis),
                text("%.0f", tasks / took),
                text("%.2f", perTask(cluster.coordinatorCpu().minus(coordinatorsBefore))),
                text("%.2f", perTask(cluster.redisCpu().minus(redisBefore))),
                text("%.2f", perTask(cluster.kafkaCpu().minus(kafkaBefore))),
                clients.ask("failures").get("failures").asLong());
    }

    /** Submits the tasks, and returns how many seconds passed until all were completed. */
    private double run(Cluster cluster) {
        long before = completed(cluster);
        long begun = System.nanoTime();
        String batch =
                "[" + String.join(",", Collections.nCopies(BATCH, "{\"task_data\":{\"task_type\":\"echo\"}}")) + "]";
        for (int sent = 0; sent < tasks; sent += BATCH) {
            cluster.post("/tasks/submit/batch", batch);
        }
        Cluster.await("all tasks to be completed", Duration.ofMinutes(10), () -> completed(cluster) - before >= tasks);
        return (System.nanoTime() - begun) / 1e9;
    }

    private static long completed(Cluster cluster) {
        return cluster.get("/tasks/status").at("/stats/tasks_completed").asLong();
    }

    private double share(Duration cpu) {
        return cpu.toMillis() / 1e3 / seconds;
    }

    private double perTask(Duration cpu) {
        return (double) cpu.toMillis() / tasks;
    }

    private static String text(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}

package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.BareOutbox;
import io.aitbc.benchmarks.load.PullAgents;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.LongSupplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Cost of agents that claim their assignments over HTTP. */
@Command(
        name = "pull",
        description = "Cost of agents without Kafka: open claims, and tasks claimed and completed over HTTP.")
public final class PullBenchmark extends Benchmark {
    @Option(names = "--agents", split = ",", defaultValue = "100,1000,10000", description = "Numbers of agents")
    private List<Integer> sizes = List.of();

    @Option(names = "--coordinators", defaultValue = "2", description = "Number of coordinators")
    private int coordinators;

    @Option(names = "--tasks", defaultValue = "10000", description = "Tasks per measurement")
    private int tasks;

    @Option(names = "--warm-up", defaultValue = "60000", description = "Tasks before the first measurement")
    private int warmUp;

    @Option(names = "--times", defaultValue = "3", description = "Repetitions, the sides in turn")
    private int times;

    @Option(names = "--seconds", defaultValue = "30", description = "Seconds of idleness per measurement")
    private int seconds;

    @Override
    List<Report> measure() {
        Report idle = new Report(
                "Idle agents with delivery pull, " + coordinators + " coordinators: share of a core",
                "agents",
                "coordinators",
                "Redis",
                "Kafka",
                "agents' clients");
        Report busy = new Report(
                "Tasks over HTTP, " + coordinators + " coordinators, median of " + times,
                "agents",
                "coordinators, tasks/s",
                "raw HTTP, tasks/s",
                "share of raw",
                "CPU ms/task: coordinators",
                "Redis",
                "Kafka",
                "raw HTTP",
                "failed requests");
        try (Cluster cluster = new Cluster(coordinators);
                RedisClient client = RedisClient.create(cluster.redisUrl());
                StatefulRedisConnection<String, String> redis = client.connect();
                ChildProcess submitter = new ChildProcess(Submitter.class, cluster.bootstrapServers(), "");
                ChildProcess outbox = new ChildProcess(BareOutbox.class)) {
            int port = outbox.ask("state").get("port").asInt();
            try (ChildProcess bare = new ChildProcess(PullAgents.class, "http://127.0.0.1:" + port);
                    ChildProcess agents = new ChildProcess(
                            PullAgents.class, cluster.restUrls().toArray())) {
                int joined = 0;
                for (int size : sizes) {
                    agents.ask("join", joined, size);
                    bare.ask("join", joined, size);
                    if (joined == 0) {
                        flood(redis, submitter, "warm", warmUp);
                        flood(outbox, warmUp);
                    }
                    joined = size;
                    measureIdle(idle, cluster, agents, size);
                    measureBusy(busy, cluster, redis, submitter, outbox, agents, size);
                }
                agents.ask("leave");
                bare.ask("leave");
            }
        }
        return List.of(idle, busy);
    }

    private void measureIdle(Report report, Cluster cluster, ChildProcess agents, int size) {
        Cpu before = Cpu.of(cluster);
        Duration clientsBefore = agents.cpu();
        Cluster.pause(Duration.ofSeconds(seconds));
        Cpu used = Cpu.of(cluster).minus(before);
        report.row(
                size,
                share(used.coordinators),
                share(used.redis),
                share(used.kafka),
                share(agents.cpu().minus(clientsBefore)));
    }

    private void measureBusy(
            Report report,
            Cluster cluster,
            StatefulRedisConnection<String, String> redis,
            ChildProcess submitter,
            ChildProcess outbox,
            ChildProcess agents,
            int size) {
        long failuresBefore = failures(agents);
        List<Double> rates = new ArrayList<>();
        List<Double> rawRates = new ArrayList<>();
        List<Double> shares = new ArrayList<>();
        Cpu used = new Cpu(Duration.ZERO, Duration.ZERO, Duration.ZERO);
        Duration rawUsed = Duration.ZERO;
        for (int i = 0; i < times; i++) {
            Cpu before = Cpu.of(cluster);
            rates.add(tasks / flood(redis, submitter, "pull-" + size + "-" + i, tasks));
            used = used.plus(Cpu.of(cluster).minus(before));
            Duration rawBefore = outbox.cpu();
            rawRates.add(tasks / flood(outbox, tasks));
            rawUsed = rawUsed.plus(outbox.cpu().minus(rawBefore));
            shares.add(rates.get(i) / rawRates.get(i));
        }
        report.row(
                size,
                text("%.0f", Medians.of(rates)),
                text("%.0f", Medians.of(rawRates)),
                text("%.0f %%", 100 * Medians.of(shares)),
                perTask(used.coordinators),
                perTask(used.redis),
                perTask(used.kafka),
                perTask(rawUsed),
                failures(agents) - failuresBefore);
    }

    private static long failures(ChildProcess agents) {
        return agents.ask("failures").get("failures").asLong();
    }

    /** Processor time. */
    private record Cpu(Duration coordinators, Duration redis, Duration kafka) {
        static Cpu of(Cluster cluster) {
            return new Cpu(cluster.coordinatorCpu(), cluster.redisCpu(), cluster.kafkaCpu());
        }

        Cpu minus(Cpu other) {
            return new Cpu(coordinators.minus(other.coordinators), redis.minus(other.redis), kafka.minus(other.kafka));
        }

        Cpu plus(Cpu other) {
            return new Cpu(coordinators.plus(other.coordinators), redis.plus(other.redis), kafka.plus(other.kafka));
        }
    }

    private static double flood(
            StatefulRedisConnection<String, String> redis, ChildProcess submitter, String run, int count) {
        return seconds(count, () -> submitter.ask(run, count, 0, "all", 0), () -> {
            String completed = redis.sync().hget("stats:tasks", "completed");
            return completed == null ? 0 : Long.parseLong(completed);
        });
    }

    private static double flood(ChildProcess outbox, int count) {
        return seconds(
                count,
                () -> outbox.ask("offer", count),
                () -> outbox.ask("state").get("completed").asLong());
    }

    /** Seconds from the start until so many more tasks are completed. */
    private static double seconds(int count, Runnable start, LongSupplier completed) {
        long before = completed.getAsLong();
        long begun = System.nanoTime();
        start.run();
        Cluster.await(
                count + " tasks to be completed",
                Duration.ofMinutes(30),
                () -> completed.getAsLong() - before >= count);
        return (System.nanoTime() - begun) / 1e9;
    }

    private String share(Duration cpu) {
        return text("%.2f", cpu.toMillis() / 1e3 / seconds);
    }

    private String perTask(Duration cpu) {
        return text("%.2f", (double) cpu.toMillis() / tasks / times);
    }

    private static String text(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}

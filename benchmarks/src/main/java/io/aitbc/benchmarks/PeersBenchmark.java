package io.aitbc.benchmarks;

import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntToDoubleFunction;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What else one could take, with the same number of tasks and agents, each with its usual durable settings, by small clients of ours. */
@Command(
        name = "peers",
        description = "Tasks per second, beside RabbitMQ, BullMQ and Celery; each needs to be installed.")
final class PeersBenchmark extends Benchmark {
    private static final String RABBIT = "/usr/lib/rabbitmq/bin/rabbitmq-server";

    @Option(names = "--tasks", defaultValue = "100000", description = "How many tasks each time; Celery gets a tenth")
    private int tasks;

    @Option(names = "--agents", defaultValue = "100", description = "How many agents, or tasks done at once")
    private int agents;

    @Option(names = "--times", defaultValue = "5", description = "How often")
    private int times;

    @Option(
            names = "--warm-up",
            defaultValue = "1300000",
            description =
                    "How many tasks come before, until the compilers have done what they do; in whole floods; Celery gets one flood")
    private int warmUp;

    @Option(
            names = "--whom",
            split = ",",
            defaultValue = "COORDINATOR,RABBITMQ,BULLMQ,CELERY",
            description = "Who is measured: ${COMPLETION-CANDIDATES}")
    private List<Whom> whom = List.of();

    private enum Whom {
        COORDINATOR,
        RABBITMQ,
        BULLMQ,
        CELERY
    }

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "Peers: tasks from submission to result, " + agents + " agents, median of " + times,
                        "what",
                        "tasks/s",
                        "what it lacks")
                .bars("tasks/s", 1);
        for (Whom one : whom) {
            switch (one) {
                case COORDINATOR -> coordinator(report);
                case RABBITMQ ->
                    attempt(report, "RabbitMQ, priority queue", "apt-get install rabbitmq-server", this::rabbit);
                case BULLMQ -> attempt(report, "BullMQ on Redis", "node and npm", this::bull);
                case CELERY ->
                    attempt(
                            report,
                            "Celery on Redis",
                            "apt-get install python3-celery python3-redis celery",
                            this::celery);
            }
        }
        return List.of(report);
    }

    private interface Peer {
        void measure(Report report, Path folder) throws IOException, InterruptedException;
    }

    private static void attempt(Report report, String name, String needs, Peer peer) {
        Path folder = null;
        try {
            folder = Files.createTempDirectory("peer");
            peer.measure(report, folder);
        } catch (IOException | UncheckedIOException | IllegalStateException e) {
            report.row(name, "not measured: " + e.getMessage(), "needs " + needs);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private void coordinator(Report report) {
        try (Cluster cluster = new Cluster();
                CoordinatorSide side = new CoordinatorSide(cluster, agents, 10_000 / agents).working()) {
            warmUp(i -> side.flood("warm" + i, tasks, 0));
            report.row("agent-coordinator", median(i -> side.flood("flood" + i, tasks, 0)), "");
        }
    }

    private void warmUp(IntToDoubleFunction run) {
        for (int i = 0; i < (warmUp + tasks - 1) / tasks; i++) {
            run.applyAsDouble(i);
        }
    }

    private String median(IntToDoubleFunction run) {
        List<Double> rates = new ArrayList<>();
        for (int i = 0; i < times; i++) {
            rates.add(run.applyAsDouble(i));
            System.out.printf(Locale.ROOT, "  %.0f tasks/s%n", rates.get(i));
        }
        return String.format(Locale.ROOT, "%.0f", Medians.of(rates));
    }

    private void rabbit(Report report, Path folder) throws IOException, InterruptedException {
        int port = LocalStack.freePort();
        ProcessBuilder builder = new ProcessBuilder(RABBIT);
        Map<String, String> environment = builder.environment();
        environment.put("RABBITMQ_NODENAME", "benchmark" + port + "@localhost");
        environment.put("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        environment.put("RABBITMQ_NODE_PORT", "" + port);
        environment.put("RABBITMQ_DIST_PORT", "" + LocalStack.freePort());
        environment.put("RABBITMQ_MNESIA_BASE", folder.toString());
        environment.put("RABBITMQ_LOG_BASE", folder.toString());
        environment.put("RABBITMQ_PID_FILE", folder.resolve("pid").toString());
        environment.put(
                "RABBITMQ_ENABLED_PLUGINS_FILE", folder.resolve("plugins").toString());
        environment.put("HOME", folder.toString());
        Process server = quiet(builder).start();
        try {
            Cluster.await("RabbitMQ", Duration.ofMinutes(1), () -> answers("" + port));
            try (Player workers = new Player("rabbit-agents", port, agents)) {
                // They make the queues.
                workers.ask("ready");
                try (Player submitter = new Player("rabbit-submitter", port)) {
                    IntToDoubleFunction flood =
                            i -> submitter.ask(tasks).get("perSecond").asDouble();
                    warmUp(flood);
                    report.row(
                            "RabbitMQ, priority queue",
                            median(flood),
                            "choice of agent, requirements, capacity across agents, one live attempt, retry with backoff");
                }
            }
        } finally {
            end(server);
        }
    }

    private static boolean answers(String port) {
        try {
            RabbitAgents.connect(port).close();
            return true;
        } catch (IOException | TimeoutException e) {
            return false;
        }
    }

    private void bull(Report report, Path folder) throws IOException, InterruptedException {
        copy("bullmq.mjs", folder);
        run(new ProcessBuilder("npm", "install", "--no-audit", "--no-fund", "bullmq", "ioredis"), folder);
        int port = LocalStack.freePort();
        try (LocalRedis ignored = Cluster.redis(folder.resolve("redis"), port)) {
            Process workers = quiet(new ProcessBuilder("node", "bullmq.mjs", "agents", "" + port, "" + agents)
                            .directory(folder.toFile()))
                    .start();
            try {
                IntToDoubleFunction flood =
                        i -> rate(new ProcessBuilder("node", "bullmq.mjs", "submit", "" + port, "" + tasks), folder);
                warmUp(flood);
                report.row(
                        "BullMQ on Redis",
                        median(flood),
                        "choice of agent, requirements, capacity of each agent; one Redis holds all there is");
            } finally {
                end(workers);
            }
        }
    }

    private void celery(Report report, Path folder) throws IOException, InterruptedException {
        copy("celery_agents.py", folder);
        copy("celery_submit.py", folder);
        int port = LocalStack.freePort();
        try (LocalRedis ignored = Cluster.redis(folder.resolve("redis"), port)) {
            // Prefork, one process for each core, as it does by default.
            Process workers = quiet(withRedis(
                                    new ProcessBuilder(
                                            "/usr/bin/python3",
                                            "-m",
                                            "celery",
                                            "-A",
                                            "celery_agents",
                                            "worker",
                                            "--without-mingle"),
                                    port)
                            .directory(folder.toFile()))
                    .start();
            try {
                int fewer = Math.max(1_000, tasks / 10);
                IntToDoubleFunction flood = i -> rate(
                        withRedis(new ProcessBuilder("/usr/bin/python3", "celery_submit.py", "" + fewer), port),
                        folder);
                flood.applyAsDouble(0);
                report.row(
                        "Celery on Redis",
                        median(flood),
                        "choice of agent, requirements, capacity across agents; one Redis holds all there is");
            } finally {
                end(workers);
            }
        }
    }

    private static ProcessBuilder withRedis(ProcessBuilder builder, int port) {
        builder.environment().put("REDIS", "redis://127.0.0.1:" + port + "/0");
        return builder;
    }

    private static double rate(ProcessBuilder builder, Path folder) {
        try {
            return Double.parseDouble(run(builder, folder).strip());
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** What it prints. */
    private static String run(ProcessBuilder builder, Path folder) throws IOException, InterruptedException {
        Process process = builder.directory(folder.toFile())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String said = new String(process.getInputStream().readAllBytes());
        if (process.waitFor() != 0) {
            throw new IllegalStateException(String.join(" ", builder.command()) + " failed");
        }
        return said;
    }

    private static void copy(String resource, Path folder) throws IOException {
        try (InputStream in = PeersBenchmark.class.getResourceAsStream("/peers/" + resource)) {
            Files.copy(in, folder.resolve(resource));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static ProcessBuilder quiet(ProcessBuilder builder) {
        return builder.redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.DISCARD);
    }

    /** With all that it has started. */
    private static void end(Process process) throws InterruptedException {
        List<ProcessHandle> all = new ArrayList<>(process.descendants().toList());
        process.destroy();
        process.waitFor(20, TimeUnit.SECONDS);
        all.forEach(ProcessHandle::destroy);
    }
}

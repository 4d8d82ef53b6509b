package io.aitbc.resilience;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.JavaProcess;
import io.lettuce.core.RedisClient;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

@Command(
        name = "soak",
        mixinStandardHelpOptions = true,
        description = "Applies a steady load for a long time and checks that the resource use of coordinators and Redis"
                + " does not grow. Requires Linux's /proc.")
final class SoakCommand implements Callable<Integer> {
    /** Short, so that the memory of Redis reaches a steady state within the run. */
    private static final String TASK_RETENTION = "--aitbc.settle.task-retention=60s";

    /** Maximum ratio of the median of the last quarter of the run to the median of the second quarter. */
    private static final double MAX_GROWTH = 1.15;

    @Option(names = "--minutes", description = "Duration in minutes; ${DEFAULT-VALUE} by default.")
    private int minutes = 20;

    @Option(names = "--folder", description = "Folder for logs, charts and reports; ${DEFAULT-VALUE} by default.")
    private Path folder = Path.of("target", "soak");

    private final long start = System.nanoTime();
    private final List<Double> seconds = new ArrayList<>();
    private final TreeMap<String, List<Double>> samples = new TreeMap<>();
    private @Nullable String lastTaskId;

    @Override
    public Integer call() throws IOException {
        Run run = new Run(
                List.of(Fault.NONE), 1, Duration.ofMinutes(minutes), 2, folder, List.of(TASK_RETENTION), this::sample);
        Run.Outcome outcome = run.play();
        if (outcome.isClean()) {
            run.deleteData();
        }
        Charts.draw(
                minutes + " minutes of " + Run.TASKS_PER_SECOND + " tasks per second",
                seconds,
                samples,
                folder.resolve("soak"));
        Map<String, Double> growth = samples.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, entry -> growth(entry.getValue()), (one, other) -> one, TreeMap::new));
        Files.write(
                folder.resolve("soak.json"),
                Json.bytes(Map.of("seconds", seconds, "samples", samples, "growth", growth, "outcome", outcome)));
        System.out.println("| | median of the second quarter | median of the last quarter | ratio |");
        System.out.println("|---|---|---|---|");
        samples.forEach((name, values) -> System.out.printf(
                "| %s | %.0f | %.0f | %.2f |%n", name, quarter(values, 1), quarter(values, 3), growth.get(name)));
        System.out.println("tasks " + outcome.findings().tasks() + ", lost "
                + outcome.findings().lost().size()
                + ", executed twice " + outcome.findings().twice().size() + ", wrong counts "
                + outcome.wrongCounts());
        return outcome.isClean() && growth.values().stream().allMatch(factor -> factor <= MAX_GROWTH) ? 0 : 1;
    }

    private void sample(Cluster cluster) {
        seconds.add((System.nanoTime() - start) / 1e9);
        for (Cluster.Coordinator coordinator : cluster.coordinators()) {
            query(coordinator);
            String name = coordinator.process().name();
            long pid = coordinator.process().process().pid();
            addSample(name + ", heap in MiB", JavaProcess.liveHeapBytes(pid) / 1024.0 / 1024);
            addSample(name + ", threads", entries("/proc/" + pid + "/task"));
            addSample(name + ", file handles", entries("/proc/" + pid + "/fd"));
        }
        try (RedisClient client = RedisClient.create(cluster.redisUrl())) {
            String used = client.connect()
                    .sync()
                    .info("memory")
                    .lines()
                    .filter(line -> line.startsWith("used_memory:"))
                    .findFirst()
                    .orElseThrow();
            addSample("redis, memory in MiB", Long.parseLong(used.split(":")[1].trim()) / 1024.0 / 1024);
        }
    }

    /** Sends the requests that operators and dashboards send continuously. */
    private void query(Cluster.Coordinator coordinator) {
        for (String path : List.of(
                "/tasks/queues", "/agents", "/load-balancer/stats", "/tasks/queues/low", "/tasks/dead-letter")) {
            coordinator.get(path);
        }
        List<JsonNode> waiting = coordinator.get("/tasks/queues/low").stream()
                .flatMap(queue -> queue.path("tasks").valueStream())
                .toList();
        if (!waiting.isEmpty()) {
            lastTaskId = waiting.get(0).path("task_id").asString();
        }
        if (lastTaskId != null) {
            coordinator.get("/tasks/" + lastTaskId + "/explain");
            coordinator.get("/tasks/" + lastTaskId + "?wait=1s");
        }
    }

    private void addSample(String what, double value) {
        samples.computeIfAbsent(what, name -> new ArrayList<>()).add(value);
    }

    private static int entries(String directory) {
        String[] names = new File(directory).list();
        return names == null ? 0 : names.length;
    }

    private static double growth(List<Double> values) {
        return quarter(values, 3) / Math.max(1, quarter(values, 1));
    }

    /** Returns the median of a quarter of the run; quarters are numbered from 0. */
    private static double quarter(List<Double> values, int number) {
        List<Double> part = values.subList(values.size() * number / 4, values.size() * (number + 1) / 4).stream()
                .sorted()
                .toList();
        return part.isEmpty() ? 0 : part.get(part.size() / 2);
    }
}

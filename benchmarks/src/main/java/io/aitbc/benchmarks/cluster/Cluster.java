package io.aitbc.benchmarks.cluster;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.CoordinatorApplication;
import io.aitbc.localstack.JavaProcess;
import io.aitbc.localstack.LocalKafka;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import io.aitbc.localstack.ProcessCluster;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.springframework.util.FileSystemUtils;
import tools.jackson.databind.JsonNode;

/** A broker, a Redis and coordinators, each a process of its own. Their data is deleted at the end. */
public final class Cluster implements AutoCloseable {
    /** Heaps are allocated in advance: their growth would count as cost of the work. */
    private static final List<String> COORDINATOR = List.of("-Xms2g", "-Xmx2g", "-XX:+AlwaysPreTouch");

    private static final List<String> BROKER = List.of("-Xms1g", "-Xmx4g", "-XX:+AlwaysPreTouch");
    static final List<String> CLIENT = List.of("-Xms512m", "-Xmx512m", "-XX:+AlwaysPreTouch");

    private static final Duration POLL_INTERVAL = Duration.ofMillis(5);

    private final Path folder;
    private final ProcessCluster processes;

    public Cluster(String... coordinatorSettings) {
        this(1, coordinatorSettings);
    }

    public Cluster(int coordinatorCount, String... coordinatorSettings) {
        this(coordinatorCount, COORDINATOR, coordinatorSettings);
    }

    /** @param coordinatorOptions of the coordinators' JVMs */
    public Cluster(int coordinatorCount, List<String> coordinatorOptions, String... coordinatorSettings) {
        try {
            folder = Files.createTempDirectory("benchmark");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        processes = new ProcessCluster(
                folder,
                Cluster::launch,
                LocalKafka.Node.free(1),
                node -> BROKER,
                LocalStack.freePort(),
                LocalRedis::startInstalled,
                List.of(Map.of()));
        List<String> settings = Stream.concat(Stream.of("--aitbc.log.level=WARN"), Stream.of(coordinatorSettings))
                .toList();
        for (int i = 0; i < coordinatorCount; i++) {
            processes.startCoordinator(
                    CoordinatorApplication.class, coordinatorOptions, bootstrapServers(), redisUrl(), settings);
        }
        try {
            processes.awaitHealthy();
        } catch (IllegalStateException e) {
            close();
            throw e;
        }
    }

    private static Process launch(String name, ProcessBuilder builder) throws IOException {
        return builder.redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    public String bootstrapServers() {
        return processes.bootstrapServers();
    }

    public String redisUrl() {
        return processes.redisUrl();
    }

    /** The folder for files of this run. */
    public Path folder() {
        return folder;
    }

    /** Processor time used by all coordinators. */
    public Duration coordinatorCpu() {
        return processes.coordinators().stream().map(one -> one.process().cpu()).reduce(Duration.ZERO, Duration::plus);
    }

    public Duration redisCpu() {
        return processes.redis().cpu();
    }

    public Duration kafkaCpu() {
        return processes.brokers().get(0).cpu();
    }

    /** Size of the broker's files. */
    public long kafkaBytes() {
        try (Stream<Path> files = Files.walk(folder.resolve("kafka-1"))) {
            // Indexes of active segments are preallocated.
            return files.filter(file -> file.toString().endsWith(".log"))
                    .mapToLong(file -> file.toFile().length())
                    .sum();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static Duration cpu(ProcessHandle process) {
        return process.info().totalCpuDuration().orElseThrow();
    }

    /** Live heap of the first coordinator after a full collection. */
    public long coordinatorHeapBytes() {
        return JavaProcess.liveHeapBytes(first().process().process().pid());
    }

    /** Base URL of the first coordinator. */
    public String restUrl() {
        return first().rest().toString();
    }

    /** Base URLs of all coordinators. */
    public List<String> restUrls() {
        return processes.coordinators().stream()
                .map(one -> one.rest().toString())
                .toList();
    }

    /** Ends the first coordinator as by kill -9. */
    public void killCoordinator() {
        killCoordinator(0);
    }

    public void killCoordinator(int number) {
        processes.coordinators().get(number).process().kill();
    }

    /** Ends a coordinator as by SIGTERM. */
    public void stopCoordinator(int number) {
        processes.coordinators().get(number).process().terminate();
    }

    /** Starts the first coordinator again. */
    public void restartCoordinator() {
        restartCoordinator(0);
    }

    public void restartCoordinator(int number) {
        processes.coordinators().get(number).process().start();
    }

    /** The sum of a metric of the first coordinator over its labels; 0 while it does not answer. */
    public double metric(String name) {
        return metric(0, name);
    }

    public double metric(int number, String name) {
        return processes
                .coordinators()
                .get(number)
                .send("GET", "/metrics", "")
                .map(body -> new String(body, StandardCharsets.UTF_8)
                        .lines()
                        .filter(line -> line.startsWith(name + "{") || line.startsWith(name + " "))
                        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                        .sum())
                .orElse(0.0);
    }

    public JsonNode get(String path) {
        return send("GET", path, "");
    }

    public JsonNode put(String path, String body) {
        return send("PUT", path, body);
    }

    public JsonNode post(String path, String body) {
        return send("POST", path, body);
    }

    private JsonNode send(String method, String path, String body) {
        return Json.MAPPER.readTree(first().send(method, path, body).orElseThrow());
    }

    private ProcessCluster.Coordinator first() {
        return processes.coordinators().get(0);
    }

    /** Runs a client of this cluster until it exits. */
    public static void run(Class<?> main, String... arguments) {
        try {
            launch(main.getSimpleName(), JavaProcess.of(main, CLIENT, List.of(arguments)))
                    .waitFor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** @throws IllegalStateException if the condition does not become true in time */
    public static void await(String what, Duration atMost, BooleanSupplier condition) {
        ProcessCluster.await(what, atMost, POLL_INTERVAL, condition);
    }

    /** Sleeps while a measurement runs. */
    public static void pause(Duration duration) {
        try {
            TimeUnit.NANOSECONDS.sleep(duration.toNanos());
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        processes.close();
        try {
            FileSystemUtils.deleteRecursively(folder);
        } catch (IOException e) {
            // The measurement is done all the same.
            System.err.println("Could not delete " + folder + ": " + e);
        }
    }
}

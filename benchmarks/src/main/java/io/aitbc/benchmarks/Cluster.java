package io.aitbc.benchmarks;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.JavaProcess;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/** A broker, a Redis and a coordinator, each a process of its own, on free loopback ports. Their data is deleted at the end. */
final class Cluster implements AutoCloseable {
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    /** Heaps are allocated in advance: their growth would count as cost of the work. */
    private static final List<String> COORDINATOR = List.of("-Xms2g", "-Xmx2g", "-XX:+AlwaysPreTouch");

    private static final List<String> BROKER = List.of("-Xms1g", "-Xmx4g", "-XX:+AlwaysPreTouch");
    private static final List<String> CLIENT = List.of("-Xms512m", "-Xmx512m", "-XX:+AlwaysPreTouch");

    private final Path folder;
    private final Process kafka;
    private final LocalRedis redis;
    private final List<Process> coordinators = new ArrayList<>();
    private final int kafkaPort = LocalStack.freePort();
    private final List<Integer> restPorts = new ArrayList<>();

    Cluster(String... coordinatorSettings) {
        this(1, coordinatorSettings);
    }

    Cluster(int coordinatorCount, String... coordinatorSettings) {
        try {
            folder = Files.createTempDirectory("benchmark");
            redis = redis(folder.resolve("redis"), LocalStack.freePort());
            kafka = quiet(java(
                    BROKER,
                    "role:kafka",
                    folder.resolve("kafka").toString(),
                    "" + kafkaPort,
                    "" + LocalStack.freePort()));
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                coordinators.forEach(Process::destroy);
                kafka.destroy();
            }));
            for (int i = 0; i < coordinatorCount; i++) {
                coordinators.add(coordinator(coordinatorSettings));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        await(
                "healthy coordinators",
                Duration.ofMinutes(3),
                () -> restPorts.stream().allMatch(this::isHealthy));
    }

    /** Starts the installed Redis server, or the slower one of the local stack. */
    static LocalRedis redis(Path folder, int port) {
        return installedRedis()
                .map(executable -> LocalRedis.start(folder, port, executable))
                .orElseGet(() -> LocalRedis.start(folder, port));
    }

    static Optional<Path> installedRedis() {
        return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                .map(directory -> Path.of(directory, "redis-server"))
                .filter(Files::isExecutable)
                .findFirst();
    }

    private Process coordinator(String... settings) throws IOException {
        int port = LocalStack.freePort();
        restPorts.add(port);
        List<String> arguments = new ArrayList<>(List.of(
                "role:coordinator",
                "--aitbc.kafka.bootstrap-servers=" + bootstrapServers(),
                "--aitbc.redis.url=" + redisUrl(),
                "--aitbc.coordinator.port=" + port,
                "--server.address=127.0.0.1",
                "--aitbc.log.level=WARN"));
        arguments.addAll(Arrays.asList(settings));
        return quiet(JavaProcess.of(Benchmarks.class, COORDINATOR, arguments));
    }

    String bootstrapServers() {
        return "127.0.0.1:" + kafkaPort;
    }

    String redisUrl() {
        return redis.url();
    }

    /** The folder for files of this run. */
    Path folder() {
        return folder;
    }

    /** Processor time used by all coordinators. */
    Duration coordinatorCpu() {
        return coordinators.stream().map(one -> cpu(one.toHandle())).reduce(Duration.ZERO, Duration::plus);
    }

    Duration redisCpu() {
        return cpu(redis.process());
    }

    Duration kafkaCpu() {
        return cpu(kafka.toHandle());
    }

    static Duration cpu(ProcessHandle process) {
        return process.info().totalCpuDuration().orElseThrow();
    }

    /** Live heap of the first coordinator after a full collection. */
    long coordinatorHeapBytes() {
        return JavaProcess.liveHeapBytes(coordinators.get(0).pid());
    }

    /** Base URL of the first coordinator. */
    String restUrl() {
        return "http://127.0.0.1:" + restPorts.get(0);
    }

    JsonNode get(String path) {
        return send("GET", path, "").orElseThrow();
    }

    JsonNode put(String path, String body) {
        return send("PUT", path, body).orElseThrow();
    }

    JsonNode post(String path, String body) {
        return send("POST", path, body).orElseThrow();
    }

    private Optional<JsonNode> send(String method, String path, String body) {
        return send(restPorts.get(0), method, path, body);
    }

    private static Optional<JsonNode> send(int port, String method, String path, String body) {
        try {
            HttpResponse<byte[]> answer = HTTP.send(
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                            .method(method, HttpRequest.BodyPublishers.ofString(body))
                            .header("Content-Type", "application/json")
                            .timeout(Duration.ofSeconds(60))
                            .build(),
                    HttpResponse.BodyHandlers.ofByteArray());
            return answer.statusCode() == 200 ? Optional.of(Json.MAPPER.readTree(answer.body())) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private boolean isHealthy(int port) {
        return send(port, "GET", "/health", "").isPresent();
    }

    /** Starts another process from the same jar or class path. */
    static Process java(String... arguments) throws IOException {
        return quiet(javaBuilder(arguments));
    }

    static ProcessBuilder javaBuilder(String... arguments) {
        return java(CLIENT, arguments);
    }

    private static ProcessBuilder java(List<String> options, String... arguments) {
        return JavaProcess.of(Benchmarks.class, options, List.of(arguments));
    }

    private static Process quiet(ProcessBuilder builder) throws IOException {
        return builder.redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    static void await(String what, Duration atMost, BooleanSupplier condition) {
        long end = System.nanoTime() + atMost.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("timed out waiting for " + what);
            }
            pause(Duration.ofMillis(5));
        }
    }

    /** Sleeps while a measurement runs. */
    static void pause(Duration duration) {
        try {
            TimeUnit.NANOSECONDS.sleep(duration.toNanos());
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        coordinators.forEach(Cluster::end);
        redis.close();
        end(kafka);
        try (Stream<Path> paths = Files.walk(folder)) {
            paths.sorted(Comparator.reverseOrder())
                    .forEach(path -> path.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void end(Process process) {
        process.destroy();
        try {
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}

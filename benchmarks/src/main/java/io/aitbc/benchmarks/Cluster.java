package io.aitbc.benchmarks;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.JavaProcess;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
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

/** A broker, a Redis and a coordinator, each a process of its own, on free ports of the loopback interface, with data that is deleted. */
final class Cluster implements AutoCloseable {
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private final Path folder;
    private final Process kafka;
    private final LocalRedis redis;
    private final Process coordinator;
    private final int kafkaPort = LocalStack.freePort();
    private final int restPort = LocalStack.freePort();

    Cluster(String... coordinatorSettings) {
        try {
            folder = Files.createTempDirectory("benchmark");
            kafka = java("role:kafka", folder.resolve("kafka").toString(), "" + kafkaPort, "" + LocalStack.freePort());
            redis = LocalRedis.start(folder.resolve("redis"), LocalStack.freePort());
            List<String> arguments = new ArrayList<>(List.of(
                    "role:coordinator",
                    "--aitbc.kafka.bootstrap-servers=" + bootstrapServers(),
                    "--aitbc.redis.url=" + redisUrl(),
                    "--aitbc.coordinator.port=" + restPort,
                    "--server.address=127.0.0.1",
                    "--aitbc.log.level=WARN"));
            arguments.addAll(Arrays.asList(coordinatorSettings));
            coordinator = java(arguments.toArray(String[]::new));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Runtime.getRuntime()
                .addShutdownHook(new Thread(() -> List.of(coordinator, kafka).forEach(Process::destroy)));
        await("a healthy coordinator", Duration.ofSeconds(60), this::isHealthy);
    }

    String bootstrapServers() {
        return "127.0.0.1:" + kafkaPort;
    }

    String redisUrl() {
        return redis.url();
    }

    /** The folder for whatever belongs to this run. */
    Path folder() {
        return folder;
    }

    /** Processor time that the coordinator has used. */
    Duration coordinatorCpu() {
        return cpu(coordinator.toHandle());
    }

    Duration redisCpu() {
        return cpu(redis.process());
    }

    static Duration cpu(ProcessHandle process) {
        return process.info().totalCpuDuration().orElseThrow();
    }

    /** What is alive on the coordinator's heap, after a full collection. */
    long coordinatorHeapBytes() {
        return JavaProcess.liveHeapBytes(coordinator.pid());
    }

    JsonNode get(String path) {
        return send("GET", path, "").orElseThrow();
    }

    JsonNode put(String path, String body) {
        return send("PUT", path, body).orElseThrow();
    }

    private Optional<JsonNode> send(String method, String path, String body) {
        try {
            HttpResponse<byte[]> answer = HTTP.send(
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + restPort + path))
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

    private boolean isHealthy() {
        return send("GET", "/health", "").isPresent();
    }

    /** Another process from the same jar or class path. */
    static Process java(String... arguments) throws IOException {
        return JavaProcess.of(Benchmarks.class, List.of("-Xmx4g"), List.of(arguments))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    static void await(String what, Duration atMost, BooleanSupplier condition) {
        long end = System.nanoTime() + atMost.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("waited in vain for " + what);
            }
            pause(Duration.ofMillis(5));
        }
    }

    /** Lets time pass while something is measured. */
    static void pause(Duration duration) {
        try {
            TimeUnit.NANOSECONDS.sleep(duration.toNanos());
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        end(coordinator);
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

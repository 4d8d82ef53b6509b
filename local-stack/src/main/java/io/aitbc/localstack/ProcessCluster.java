package io.aitbc.localstack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Brokers, a Redis server and coordinators, each a process of its own on free loopback ports. Not thread-safe. */
public final class ProcessCluster implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private static final Duration HEALTH_TIMEOUT = Duration.ofSeconds(90);
    private static final Duration HEALTH_POLL_INTERVAL = Duration.ofMillis(100);
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(10);
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private final JvmLauncher launcher;
    private final List<LocalKafka.Node> nodes;
    private final int redisPort;
    private final List<ManagedProcess> brokers = new ArrayList<>();
    private final ManagedProcess redis;
    private @Nullable Path release;
    private final List<Coordinator> coordinators = new ArrayList<>();
    private final List<LocalRedis> redisServers = new ArrayList<>();

    /** Starts a JVM. */
    @FunctionalInterface
    public interface JvmLauncher {
        /** @param name the name of the process in the cluster */
        Process launch(String name, ProcessBuilder builder) throws IOException;
    }

    /** Sent with every request: for coordinators that run with security on and this admin key. */
    public static final String ADMIN_KEY = "local-processes-admin-key-of-32-characters";

    /** A coordinator with the base URL of its REST API. */
    public record Coordinator(ManagedProcess process, URI rest) {
        /** The body of a response with status 200; empty on any other status and on I/O errors. */
        public Optional<byte[]> send(String method, String path, String body) {
            HttpRequest request = HttpRequest.newBuilder(rest.resolve(path))
                    .method(method, HttpRequest.BodyPublishers.ofString(body))
                    .header("Content-Type", "application/json")
                    .header("X-API-Key", ADMIN_KEY)
                    .timeout(REQUEST_TIMEOUT)
                    .build();
            try {
                HttpResponse<byte[]> answer = HTTP.send(request, HttpResponse.BodyHandlers.ofByteArray());
                return answer.statusCode() == 200 ? Optional.of(answer.body()) : Optional.empty();
            } catch (IOException e) {
                return Optional.empty();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        /** @throws IllegalStateException if it does not become healthy in time */
        public void awaitHealthy() {
            await(
                    process.name() + " to be healthy",
                    HEALTH_TIMEOUT,
                    HEALTH_POLL_INTERVAL,
                    () -> send("GET", "/health", "").isPresent());
        }
    }

    /**
     * Starts the brokers and Redis.
     *
     * @param folder for their data
     * @param nodes the brokers
     * @param brokerOptions of the JVM of a broker
     * @param redisPort for clients that connect without a proxy
     * @param redisStarter starts a server with the given folder and port
     * @param proxied for each broker: additional listener port → proxy port, see {@link LocalKafka}
     */
    public ProcessCluster(
            Path folder,
            JvmLauncher launcher,
            List<LocalKafka.Node> nodes,
            Function<LocalKafka.Node, List<String>> brokerOptions,
            int redisPort,
            BiFunction<Path, Integer, LocalRedis> redisStarter,
            List<Map<Integer, Integer>> proxied) {
        this.launcher = launcher;
        this.redisPort = redisPort;
        redis = new ManagedProcess("redis", start -> {
            LocalRedis server = redisStarter.apply(folder.resolve("redis"), redisPort);
            redisServers.add(server);
            return server.process();
        });
        this.nodes = nodes;
        String cluster = nodes.stream().map(LocalKafka.Node::toString).collect(Collectors.joining(","));
        for (LocalKafka.Node node : nodes) {
            String data = folder.resolve("kafka-" + node.id()).toString();
            List<String> arguments = Stream.concat(
                            Stream.of(data, "" + node.id(), cluster),
                            proxied.get(node.id() - 1).entrySet().stream()
                                    .map(one -> one.getKey() + "=" + one.getValue()))
                    .toList();
            brokers.add(java("broker-" + node.id(), LocalKafka.class, brokerOptions.apply(node), start -> arguments));
        }
    }

    /**
     * Selects what coordinators run when they are started from now on.
     *
     * @param jar an executable jar of another release; null for this one
     */
    public void useRelease(@Nullable Path jar) {
        release = jar;
    }

    /** Starts a coordinator, which connects to the broker and to Redis at the given addresses. */
    public Coordinator startCoordinator(
            Class<?> main, List<String> options, String bootstrapServers, String redisUrl, List<String> settings) {
        String name = "coordinator-" + coordinators.size();
        int port = LocalStack.freePort();
        List<String> arguments = new ArrayList<>(List.of(
                "--aitbc.kafka.bootstrap-servers=" + bootstrapServers,
                "--aitbc.redis.url=" + redisUrl,
                "--aitbc.coordinator.port=" + port,
                "--server.address=" + HOST));
        arguments.addAll(settings);
        Coordinator coordinator = new Coordinator(
                process(
                        name,
                        start -> release == null
                                ? JavaProcess.of(main, options, arguments)
                                : JavaProcess.of(release, options, arguments)),
                URI.create("http://" + HOST + ":" + port));
        coordinators.add(coordinator);
        return coordinator;
    }

    /**
     * Starts a JVM of the cluster, which is killed when this JVM exits.
     *
     * @param arguments by the number of previous starts
     */
    public ManagedProcess java(String name, Class<?> main, List<String> options, IntFunction<List<String>> arguments) {
        return process(name, start -> JavaProcess.of(main, options, arguments.apply(start)));
    }

    private ManagedProcess process(String name, IntFunction<ProcessBuilder> builder) {
        return new ManagedProcess(name, start -> {
            try {
                ProcessHandle process =
                        launcher.launch(name, builder.apply(start)).toHandle();
                Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
                return process;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    public void awaitHealthy() {
        coordinators.forEach(Coordinator::awaitHealthy);
    }

    /**
     * Waits until a condition is true.
     *
     * @throws IllegalStateException if it does not become true in time
     */
    public static void await(String what, Duration atMost, Duration pollInterval, BooleanSupplier condition) {
        long end = System.nanoTime() + atMost.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("timed out waiting for " + what);
            }
            try {
                TimeUnit.NANOSECONDS.sleep(pollInterval.toNanos());
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    public List<ManagedProcess> brokers() {
        return List.copyOf(brokers);
    }

    public ManagedProcess redis() {
        return redis;
    }

    public List<Coordinator> coordinators() {
        return List.copyOf(coordinators);
    }

    public String bootstrapServers() {
        return nodes.stream().map(node -> HOST + ":" + node.port()).collect(Collectors.joining(","));
    }

    public String redisUrl() {
        return "redis://" + HOST + ":" + redisPort;
    }

    @Override
    public void close() {
        coordinators.forEach(one -> one.process().end());
        redis.resume();
        redisServers.forEach(LocalRedis::close);
        redis.end();
        brokers.forEach(ManagedProcess::end);
    }
}

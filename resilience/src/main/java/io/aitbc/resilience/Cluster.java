package io.aitbc.resilience;

import static org.awaitility.Awaitility.await;

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
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.netcrusher.core.reactor.NioReactor;
import org.netcrusher.tcp.TcpCrusher;
import org.netcrusher.tcp.TcpCrusherBuilder;
import org.springframework.util.FileSystemUtils;
import tools.jackson.databind.JsonNode;

/**
 * The processes of a run, with their files in one folder: {@code ledgers}, {@code logs}, and {@code data}. Each coordinator connects
 * to the broker and to Redis through proxies of its own; agents and producers connect directly.
 */
final class Cluster implements AutoCloseable {
    /** Silence after which an agent is stale. The default of five minutes is too long for a run. */
    static final Duration HEARTBEAT_TIMEOUT = Duration.ofSeconds(8);

    /** The subfolders of a run. */
    static final List<String> FOLDERS = List.of("ledgers", "logs", "data");

    private static final String HOST = "127.0.0.1";
    private static final Duration START_TIMEOUT = Duration.ofSeconds(90);
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private final Path folder;
    private final int kafkaPort = LocalStack.freePort();
    private final NioReactor reactor;
    private final ManagedProcess kafka;
    private final ManagedProcess redis;
    private final LocalRedis[] redisServer = new LocalRedis[1];
    private final List<Coordinator> coordinators = new ArrayList<>();
    private final List<ManagedProcess> clients = new ArrayList<>();

    /** A coordinator and its proxies. */
    record Coordinator(ManagedProcess member, URI rest, TcpCrusher toKafka, TcpCrusher toRedis) {}

    /** @param settings additional arguments of the coordinators */
    Cluster(Path folder, int coordinatorCount, List<String> settings) {
        this.folder = folder;
        try {
            for (String name : FOLDERS) {
                Files.createDirectories(folder.resolve(name));
            }
            reactor = new NioReactor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        int controllerPort = LocalStack.freePort();
        int redisPort = LocalStack.freePort();
        List<TcpCrusher> toKafka = proxies(coordinatorCount);
        List<TcpCrusher> toRedis =
                Stream.generate(() -> proxy(redisPort)).limit(coordinatorCount).toList();
        kafka = new ManagedProcess(
                "broker",
                start -> java(
                        "broker",
                        "-Xmx1g",
                        Stream.concat(
                                        Stream.of(
                                                "role:kafka",
                                                data("kafka").toString(),
                                                "" + kafkaPort,
                                                "" + controllerPort),
                                        toKafka.stream()
                                                .map(proxy -> proxy.getConnectAddress()
                                                                .getPort() + "="
                                                        + proxy.getBindAddress().getPort()))
                                .toList()));
        redis = new ManagedProcess("redis", start -> {
            redisServer[0] = LocalRedis.start(data("redis"), redisPort);
            return redisServer[0].process();
        });
        for (int i = 0; i < coordinatorCount; i++) {
            String name = "coordinator-" + i;
            int port = LocalStack.freePort();
            List<String> arguments = new ArrayList<>(List.of(
                    "role:coordinator",
                    "--aitbc.kafka.bootstrap-servers=" + HOST + ":"
                            + toKafka.get(i).getBindAddress().getPort(),
                    "--aitbc.redis.url=redis://" + HOST + ":"
                            + toRedis.get(i).getBindAddress().getPort(),
                    "--aitbc.coordinator.port=" + port,
                    "--server.address=" + HOST,
                    "--aitbc.topics.partitions=6",
                    "--aitbc.registry.heartbeat-interval=2s",
                    "--aitbc.registry.heartbeat-timeout=" + HEARTBEAT_TIMEOUT.toMillis() + "ms",
                    "--aitbc.settle.max-retry-backoff=4s"));
            arguments.addAll(settings);
            coordinators.add(new Coordinator(
                    new ManagedProcess(name, start -> java(name, "-Xmx512m", arguments)),
                    URI.create("http://" + HOST + ":" + port),
                    toKafka.get(i),
                    toRedis.get(i)));
        }
        coordinators.forEach(this::awaitHealthy);
    }

    ManagedProcess kafka() {
        return kafka;
    }

    ManagedProcess redis() {
        return redis;
    }

    String redisUrl() {
        return redisServer[0].url();
    }

    List<Coordinator> coordinators() {
        return coordinators;
    }

    String bootstrapServers() {
        return HOST + ":" + kafkaPort;
    }

    Path ledgers() {
        return folder.resolve("ledgers");
    }

    Path data(String name) {
        return folder.resolve("data").resolve(name);
    }

    /** Starts a process that runs agents. */
    ManagedProcess agents(String name, int count, int capacity, AgentsProcess.Kind kind) {
        return client(
                name,
                start -> java(
                        name,
                        "-Xmx256m",
                        List.of(
                                "role:agents",
                                bootstrapServers(),
                                ledgers().resolve(name + "." + start).toString(),
                                name,
                                "" + count,
                                "" + capacity,
                                kind.name())));
    }

    /** Starts a process that submits tasks until it is terminated. */
    ManagedProcess producer(String name, int perSecond, long seed) {
        return client(
                name,
                start -> java(
                        name,
                        "-Xmx256m",
                        List.of(
                                "role:producer",
                                bootstrapServers(),
                                ledgers().resolve(name + "." + start).toString(),
                                name,
                                coordinators.stream()
                                        .map(one -> one.rest.toString())
                                        .collect(Collectors.joining(",")),
                                "" + perSecond,
                                "" + seed)));
    }

    private ManagedProcess client(String name, IntFunction<ProcessHandle> starter) {
        ManagedProcess member = new ManagedProcess(name, starter);
        clients.add(member);
        return member;
    }

    void awaitHealthy(Coordinator coordinator) {
        await(coordinator.member.name() + " to be healthy")
                .atMost(START_TIMEOUT)
                .until(() -> get(coordinator, "/health").isPresent());
    }

    /** Returns the body of a response with status 200; empty on any other status and on I/O errors. */
    Optional<JsonNode> get(Coordinator coordinator, String path) {
        try {
            HttpResponse<byte[]> answer = HTTP.send(
                    HttpRequest.newBuilder(coordinator.rest.resolve(path))
                            .timeout(Duration.ofSeconds(10))
                            .build(),
                    HttpResponse.BodyHandlers.ofByteArray());
            return answer.statusCode() == 200 ? Optional.of(Json.MAPPER.readTree(answer.body())) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private List<TcpCrusher> proxies(int count) {
        return Stream.generate(() -> proxy(LocalStack.freePort())).limit(count).toList();
    }

    private TcpCrusher proxy(int to) {
        return TcpCrusherBuilder.builder()
                .withReactor(reactor)
                .withBindAddress(HOST, LocalStack.freePort())
                .withConnectAddress(HOST, to)
                .buildAndOpen();
    }

    private ProcessHandle java(String name, String heap, List<String> arguments) {
        try {
            // The C2 compiler does not pay off in short-lived processes and slows down those that start concurrently.
            List<String> options = List.of(heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1");
            ProcessHandle process = JavaProcess.of(Resilience.class, options, arguments)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(
                            folder.resolve("logs").resolve(name + ".log").toFile()))
                    .start()
                    .toHandle();
            // Leaves no child process behind, however this JVM exits.
            Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
            return process;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Deletes the data of the broker and of Redis. */
    void deleteData() {
        try {
            FileSystemUtils.deleteRecursively(folder.resolve("data"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        clients.forEach(ManagedProcess::end);
        coordinators.forEach(one -> one.member.end());
        redis.end();
        kafka.end();
        coordinators.forEach(one -> {
            one.toKafka.close();
            one.toRedis.close();
        });
        reactor.close();
    }
}

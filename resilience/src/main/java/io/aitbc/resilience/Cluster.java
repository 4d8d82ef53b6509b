package io.aitbc.resilience;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.CoordinatorApplication;
import io.aitbc.localstack.LocalKafka;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalSentinel;
import io.aitbc.localstack.LocalStack;
import io.aitbc.localstack.ManagedProcess;
import io.aitbc.localstack.ProcessCluster;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.jspecify.annotations.Nullable;
import org.netcrusher.core.reactor.NioReactor;
import org.netcrusher.tcp.TcpCrusher;
import org.netcrusher.tcp.TcpCrusherBuilder;
import org.springframework.util.FileSystemUtils;
import tools.jackson.databind.JsonNode;

/**
 * The processes of a run, with their files in one folder: {@code ledgers}, {@code logs}, and {@code data}. Each coordinator connects
 * to the broker and to Redis through proxies of its own, and agents that pull connect to it through another. Other agents and producers
 * connect directly.
 */
final class Cluster implements AutoCloseable {
    /** Silence after which an agent is stale. The default of five minutes is too long for a run. */
    static final Duration HEARTBEAT_TIMEOUT = Duration.ofSeconds(8);

    /** The subfolders of a run. */
    static final List<String> FOLDERS = List.of("ledgers", "logs", "data");

    private static final String HOST = "127.0.0.1";
    private static final String LOG_CONFIGURATION = "-Dlogback.configurationFile=io/aitbc/resilience/logback.xml";
    private static final List<String> BROKER = options("-Xmx1g");

    private final Path folder;
    private final NioReactor reactor;
    private final ProcessCluster processes;
    private final @Nullable LocalSentinel sentinel;
    /** By broker: all ways from it to the others, and from them to it; empty if they connect directly. */
    private final Map<Integer, List<TcpCrusher>> brokerLinks = new HashMap<>();

    private final List<Coordinator> coordinators = new ArrayList<>();
    private final List<ManagedProcess> clients = new ArrayList<>();

    /**
     * A coordinator and its proxies.
     *
     * @param toKafka one for each broker
     */
    record Coordinator(
            ProcessCluster.Coordinator running, List<TcpCrusher> toKafka, TcpCrusher toRedis, TcpCrusher fromAgents) {
        ManagedProcess process() {
            return running.process();
        }

        URI rest() {
            return running.rest();
        }

        /** Returns the body of a response with status 200; empty on any other status and on I/O errors. */
        Optional<JsonNode> get(String path) {
            return running.send("GET", path, "").map(Json.MAPPER::readTree);
        }

        /** Returns whether a limit is defined now. */
        boolean defineLimit(String name, int concurrency) {
            return running.send("PUT", "/limits/" + name, "{\"concurrency\": " + concurrency + "}")
                    .isPresent();
        }
    }

    /** Clients send it whether security is on or off. */
    static final String API_KEY = ProcessCluster.ADMIN_KEY;

    /** Settings that turn security on. */
    static final List<String> SECURED = List.of("--aitbc.security=on", "--aitbc.admin.key=" + API_KEY);

    /**
     * @param linked whether brokers reach each other through proxies
     * @param hasSentinel whether Redis has replicas; coordinators then connect to it directly
     * @param settings additional arguments of the coordinators
     * @param release an executable jar of another release that they begin with; null for this one
     */
    Cluster(
            Path folder,
            int brokerCount,
            boolean linked,
            boolean hasSentinel,
            int coordinatorCount,
            List<String> settings,
            @Nullable Path release) {
        this.folder = folder;
        try {
            for (String name : FOLDERS) {
                Files.createDirectories(folder.resolve(name));
            }
            reactor = new NioReactor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        int redisPort = LocalStack.freePort();
        // By coordinator and broker: the proxy to a listener of its own.
        List<List<TcpCrusher>> toKafka = new ArrayList<>();
        List<Map<Integer, Integer>> proxied = new ArrayList<>();
        for (int broker = 0; broker < brokerCount; broker++) {
            proxied.add(new LinkedHashMap<>());
        }
        for (int i = 0; i < coordinatorCount; i++) {
            List<TcpCrusher> ofCoordinator = new ArrayList<>();
            for (Map<Integer, Integer> ofBroker : proxied) {
                int listener = LocalStack.freePort();
                TcpCrusher proxy = proxy(listener);
                ofCoordinator.add(proxy);
                ofBroker.put(listener, port(proxy));
            }
            toKafka.add(ofCoordinator);
        }
        List<LocalKafka.Node> free = LocalKafka.Node.free(brokerCount);
        List<LocalKafka.Node> nodes = linked
                ? free.stream()
                        .map(node -> node.reachedBy("broker-" + node.id()))
                        .toList()
                : free;
        if (linked) {
            link(nodes);
        }
        processes = new ProcessCluster(
                folder.resolve("data"),
                this::launch,
                nodes,
                node -> linked ? linkedBroker(node, nodes) : BROKER,
                redisPort,
                LocalRedis::start,
                proxied);
        processes.useRelease(release);
        sentinel = hasSentinel ? LocalSentinel.start(folder.resolve("data").resolve("sentinel")) : null;
        List<String> arguments = Stream.concat(
                        Stream.of(
                                "--aitbc.topics.partitions=6",
                                "--aitbc.registry.heartbeat-interval=2s",
                                "--aitbc.registry.heartbeat-timeout=" + HEARTBEAT_TIMEOUT.toMillis() + "ms",
                                "--aitbc.settle.max-retry-backoff=4s"),
                        settings.stream())
                .toList();
        for (List<TcpCrusher> kafka : toKafka) {
            TcpCrusher redis = proxy(redisPort);
            ProcessCluster.Coordinator coordinator = processes.startCoordinator(
                    CoordinatorApplication.class,
                    jvm("-Xmx512m"),
                    kafka.stream().map(proxy -> HOST + ":" + port(proxy)).collect(Collectors.joining(",")),
                    sentinel == null ? "redis://" + HOST + ":" + port(redis) : sentinel.url(),
                    arguments);
            coordinators.add(new Coordinator(
                    coordinator, kafka, redis, proxy(coordinator.rest().getPort())));
        }
        try {
            processes.awaitHealthy();
        } catch (IllegalStateException e) {
            close();
            throw e;
        }
    }

    List<ManagedProcess> brokers() {
        return processes.brokers();
    }

    /** The links between a broker and the others. */
    List<TcpCrusher> links(ManagedProcess broker) {
        return brokerLinks.get(brokers().indexOf(broker) + 1);
    }

    /** The broker whose controller is the active one. */
    ManagedProcess activeController() {
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers()))) {
            return brokers()
                    .get(admin.describeMetadataQuorum().quorumInfo().get().leaderId() - 1);
        } catch (InterruptedException | ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    ManagedProcess redis() {
        return processes.redis();
    }

    /** The URL of Redis, or of the Sentinels that know which one is the primary. */
    String redisUrl() {
        return sentinel == null ? processes.redisUrl() : sentinel.url();
    }

    /** See {@link ProcessCluster#useRelease}. */
    void useRelease(@Nullable Path jar) {
        processes.useRelease(jar);
    }

    /** A Redis with replicas. */
    LocalSentinel sentinel() {
        return Objects.requireNonNull(sentinel);
    }

    List<Coordinator> coordinators() {
        return coordinators;
    }

    String bootstrapServers() {
        return processes.bootstrapServers();
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
                AgentsProcess.class,
                ledger -> List.of(bootstrapServers(), ledger.toString(), name, "" + count, "" + capacity, kind.name()));
    }

    /** Starts a process that runs agents with delivery pull. */
    ManagedProcess pullAgents(String name, int count, int capacity) {
        String urls = coordinators.stream()
                .map(one -> "http://" + HOST + ":" + port(one.fromAgents()))
                .collect(Collectors.joining(","));
        return client(
                name,
                PullAgentsProcess.class,
                ledger -> List.of(urls, ledger.toString(), name, "" + count, "" + capacity));
    }

    /** Starts a process that submits tasks until it is terminated. */
    ManagedProcess producer(String name, int perSecond, long seed) {
        String urls = coordinators.stream().map(one -> one.rest().toString()).collect(Collectors.joining(","));
        return client(
                name,
                ProducerProcess.class,
                ledger -> List.of(bootstrapServers(), ledger.toString(), name, urls, "" + perSecond, "" + seed));
    }

    /** @param arguments by the ledger of the process */
    private ManagedProcess client(String name, Class<?> main, Function<Path, List<String>> arguments) {
        ManagedProcess client = processes.java(
                name,
                main,
                options("-Xmx256m"),
                start -> arguments.apply(ledgers().resolve(name + "." + start)));
        clients.add(client);
        return client;
    }

    private TcpCrusher proxy(int to) {
        return proxy(HOST, LocalStack.freePort(), to);
    }

    private TcpCrusher proxy(String host, int port, int to) {
        return TcpCrusherBuilder.builder()
                .withReactor(reactor)
                .withBindAddress(host, port)
                .withConnectAddress(HOST, to)
                .buildAndOpen();
    }

    /** A proxy on each way from one broker to another, which has an address of its own. */
    private void link(List<LocalKafka.Node> nodes) {
        for (LocalKafka.Node from : nodes) {
            for (LocalKafka.Node to : nodes) {
                if (from != to) {
                    for (int port : List.of(to.controllerPort(), to.brokersPort())) {
                        TcpCrusher link = proxy(linkAddress(from, to), port, port);
                        brokerLinks
                                .computeIfAbsent(from.id(), id -> new ArrayList<>())
                                .add(link);
                        brokerLinks
                                .computeIfAbsent(to.id(), id -> new ArrayList<>())
                                .add(link);
                    }
                }
            }
        }
    }

    private static String linkAddress(LocalKafka.Node from, LocalKafka.Node to) {
        return "127.0." + from.id() + "." + to.id();
    }

    /** The options of a broker's JVM, in which the names of the other brokers are those of its links to them. */
    private List<String> linkedBroker(LocalKafka.Node broker, List<LocalKafka.Node> nodes) {
        Path hosts = folder.resolve("data").resolve("hosts-" + broker.id());
        try {
            String own = HOST + " localhost " + InetAddress.getLocalHost().getHostName();
            Files.write(
                    hosts,
                    Stream.concat(
                                    Stream.of(own),
                                    nodes.stream()
                                            .map(node -> (node == broker ? HOST : linkAddress(broker, node)) + " "
                                                    + node.host()))
                            .toList());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Stream.concat(BROKER.stream(), Stream.of("-Djdk.net.hosts.file=" + hosts.toAbsolutePath()))
                .toList();
    }

    private static int port(TcpCrusher proxy) {
        return proxy.getBindAddress().getPort();
    }

    private static List<String> options(String heap) {
        return Stream.concat(jvm(heap).stream(), Stream.of(LOG_CONFIGURATION)).toList();
    }

    /** The C2 compiler does not pay off in short-lived processes and slows down those that start concurrently. */
    private static List<String> jvm(String heap) {
        return List.of(heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1");
    }

    private Process launch(String name, ProcessBuilder builder) throws IOException {
        Path log = folder.resolve("logs").resolve(name + ".log");
        return builder.redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start();
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
        processes.close();
        if (sentinel != null) {
            sentinel.close();
        }
        coordinators.forEach(one -> {
            one.toKafka.forEach(TcpCrusher::close);
            one.toRedis.close();
            one.fromAgents.close();
        });
        brokerLinks.values().forEach(links -> links.forEach(TcpCrusher::close));
        reactor.close();
    }
}

package io.aitbc.localstack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Kafka and Redis for a test: on free ports, in a temporary folder that is deleted on close. */
public final class LocalStack implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    /** The last brokers of a cluster that is stopped would wait five minutes for a majority. */
    private static final Map<String, String> SETTINGS = Map.of("controlled.shutdown.enable", "false");

    private final Path folder;
    private static final int MIN_PORT = 15_000;
    /** The start of the ephemeral port range on Linux; it is higher on other systems. */
    private static final int EPHEMERAL_PORTS_START = 32_768;

    /** A port is bound only some time after it was given out. */
    private static final Set<Integer> GIVEN_PORTS = ConcurrentHashMap.newKeySet();

    private final List<LocalKafka.Node> nodes;
    private final Map<LocalKafka.Node, LocalKafka> brokers = new ConcurrentHashMap<>();
    private LocalRedis redis;
    private final int redisPort = freePort();
    private final int saslPort = freePort();
    private final int tlsPort = freePort();
    private final @Nullable Path certificates;

    private LocalStack(int brokerCount, @Nullable Path certificates) {
        this.certificates = certificates;
        this.nodes = LocalKafka.Node.free(brokerCount);
        try {
            folder = Files.createTempDirectory("local-stack");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        startKafka();
        startRedis();
    }

    public static LocalStack start() {
        return new LocalStack(1, null);
    }

    /** Like {@link #start}, with a cluster of brokers: topics have up to three replicas, of three of which two must be in sync. */
    public static LocalStack startCluster(int brokerCount) {
        return new LocalStack(brokerCount, null);
    }

    /** Like {@link #start}, with a broker that has listeners for authenticated clients, see {@link LocalKafka#startSecured}. */
    public static LocalStack startSecured(Path certificates) {
        return new LocalStack(1, certificates);
    }

    /** Returns the stack shared by all tests of a JVM, because a broker takes seconds to start. It stops with the JVM. */
    public static LocalStack shared() {
        return Shared.STACK;
    }

    /** Of all brokers. */
    public String bootstrapServers() {
        return nodes.stream().map(node -> HOST + ":" + node.port()).collect(Collectors.joining(","));
    }

    /** Of a secured broker: the listener for clients with a password or a token. */
    public String saslServers() {
        return HOST + ":" + saslPort;
    }

    /** Of a secured broker: the listener for clients with a certificate. */
    public String tlsServers() {
        return HOST + ":" + tlsPort;
    }

    public String redisUrl() {
        return redis.url();
    }

    /** Stops all brokers. */
    public void stopKafka() {
        brokers.values().parallelStream().forEach(LocalKafka::close);
        brokers.clear();
    }

    /** Restarts all brokers on the same ports and data. */
    public void startKafka() {
        // A broker waits until a majority is running.
        nodes.parallelStream().forEach(this::startBroker);
    }

    /** Copies the data of all brokers, which must be stopped, into a folder. */
    public void backUpKafka(Path to) {
        nodes.forEach(node -> copy(dataOf(node), to.resolve(dataOf(node).getFileName())));
    }

    /** Replaces the data of all brokers, which must be stopped, with a copy made by {@link #backUpKafka}. */
    public void restoreKafka(Path from) {
        nodes.forEach(node -> {
            delete(dataOf(node));
            copy(from.resolve(dataOf(node).getFileName()), dataOf(node));
        });
    }

    private Path dataOf(LocalKafka.Node node) {
        return folder.resolve("kafka-" + node.id());
    }

    private static void copy(Path from, Path to) {
        try (Stream<Path> paths = Files.walk(from)) {
            for (Path path : (Iterable<Path>) paths::iterator) {
                Files.copy(path, to.resolve(from.relativize(path)));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path folder) {
        try (Stream<Path> paths = Files.walk(folder)) {
            paths.sorted(Comparator.reverseOrder())
                    .forEach(path -> path.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void startBroker(LocalKafka.Node node) {
        Path data = dataOf(node);
        brokers.put(
                node,
                certificates == null
                        ? LocalKafka.startNode(data, node, nodes, Map.of(), SETTINGS)
                        : LocalKafka.startSecured(
                                data, node.port(), node.controllerPort(), certificates, saslPort, tlsPort));
    }

    public void stopRedis() {
        redis.close();
    }

    /** Restarts Redis on the same port and data. */
    public void startRedis() {
        redis = LocalRedis.start(folder.resolve("redis"), redisPort);
    }

    @Override
    public void close() {
        redis.close();
        stopKafka();
        delete(folder);
    }

    /** Returns a free port below the ephemeral range, so that no outgoing connection takes it in the meantime. Never returns one twice. */
    public static int freePort() {
        while (true) {
            int port = ThreadLocalRandom.current().nextInt(MIN_PORT, EPHEMERAL_PORTS_START);
            if (!GIVEN_PORTS.add(port)) {
                continue;
            }
            try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
                return socket.getLocalPort();
            } catch (BindException e) {
                // In use; try another.
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static final class Shared {
        static final LocalStack STACK = start();

        static {
            Runtime.getRuntime().addShutdownHook(new Thread(STACK::close, "local-stack-shutdown"));
        }
    }
}

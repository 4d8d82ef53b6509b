package io.aitbc.localstack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;

/** Kafka and Redis on free ports and in a folder that is deleted at the end: what a test needs. */
public final class LocalStack implements AutoCloseable {
    private final Path folder;
    private static final int LOWEST_PORT = 15_000;
    /** On Linux; elsewhere it is higher. */
    private static final int LOWEST_OF_CONNECTIONS = 32_768;

    private LocalKafka kafka;
    private LocalRedis redis;
    private final int kafkaPort = freePort();
    private final int controllerPort = freePort();
    private final int redisPort = freePort();

    private LocalStack() {
        try {
            folder = Files.createTempDirectory("local-stack");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        startKafka();
        startRedis();
    }

    public static LocalStack start() {
        return new LocalStack();
    }

    /** The stack that all tests of a JVM share, because a broker takes seconds to start. It ends with the JVM. */
    public static LocalStack shared() {
        return Shared.STACK;
    }

    public String bootstrapServers() {
        return kafka.bootstrapServers();
    }

    public String redisUrl() {
        return redis.url();
    }

    public void stopKafka() {
        kafka.close();
    }

    /** Starts the broker again, on the same port and the same data. */
    public void startKafka() {
        kafka = LocalKafka.start(folder.resolve("kafka"), kafkaPort, controllerPort);
    }

    public void stopRedis() {
        redis.close();
    }

    /** Starts Redis again, on the same port and the same data. */
    public void startRedis() {
        redis = LocalRedis.start(folder.resolve("redis"), redisPort);
    }

    @Override
    public void close() {
        redis.close();
        kafka.close();
        try (Stream<Path> paths = Files.walk(folder)) {
            paths.sorted(Comparator.reverseOrder())
                    .forEach(path -> path.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** One that nobody listens on, of those that no outgoing connection is given meanwhile. */
    public static int freePort() {
        while (true) {
            int port = ThreadLocalRandom.current().nextInt(LOWEST_PORT, LOWEST_OF_CONNECTIONS);
            try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
                return socket.getLocalPort();
            } catch (BindException e) {
                // Another, then.
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

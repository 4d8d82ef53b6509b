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
import org.jspecify.annotations.Nullable;

/** Kafka and Redis for a test: on free ports, in a temporary folder that is deleted on close. */
public final class LocalStack implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private final Path folder;
    private static final int MIN_PORT = 15_000;
    /** The start of the ephemeral port range on Linux; it is higher on other systems. */
    private static final int EPHEMERAL_PORTS_START = 32_768;

    private LocalKafka kafka;
    private LocalRedis redis;
    private final int kafkaPort = freePort();
    private final int controllerPort = freePort();
    private final int redisPort = freePort();
    private final int saslPort = freePort();
    private final int tlsPort = freePort();
    private final @Nullable Path certificates;

    private LocalStack(@Nullable Path certificates) {
        this.certificates = certificates;
        try {
            folder = Files.createTempDirectory("local-stack");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        startKafka();
        startRedis();
    }

    public static LocalStack start() {
        return new LocalStack(null);
    }

    /** Like {@link #start}, with a broker that has listeners for authenticated clients, see {@link LocalKafka#startSecured}. */
    public static LocalStack startSecured(Path certificates) {
        return new LocalStack(certificates);
    }

    /** Returns the stack shared by all tests of a JVM, because a broker takes seconds to start. It stops with the JVM. */
    public static LocalStack shared() {
        return Shared.STACK;
    }

    public String bootstrapServers() {
        return kafka.bootstrapServers();
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

    public void stopKafka() {
        kafka.close();
    }

    /** Restarts the broker on the same port and data. */
    public void startKafka() {
        Path data = folder.resolve("kafka");
        kafka = certificates == null
                ? LocalKafka.start(data, kafkaPort, controllerPort)
                : LocalKafka.startSecured(data, kafkaPort, controllerPort, certificates, saslPort, tlsPort);
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
        kafka.close();
        try (Stream<Path> paths = Files.walk(folder)) {
            paths.sorted(Comparator.reverseOrder())
                    .forEach(path -> path.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns a free port below the ephemeral range, so that no outgoing connection takes it in the meantime. */
    public static int freePort() {
        while (true) {
            int port = ThreadLocalRandom.current().nextInt(MIN_PORT, EPHEMERAL_PORTS_START);
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

package io.aitbc.quickstart;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.SimpleCommandLinePropertySource;
import org.springframework.core.env.StandardEnvironment;

/**
 * Addresses, ports and folders of the local run. Each property can be set as an argument ({@code --aitbc.local.kafka-port=9192})
 * or as an environment variable ({@code AITBC_LOCAL_KAFKA_PORT}).
 *
 * @param kafka bootstrap servers of an existing Kafka; null to start one
 * @param kafkaConfig properties file for clients of an existing Kafka; empty if it needs none
 * @param redis URL of an existing Redis; null to start one
 * @param history URL of an existing PostgreSQL, or off; null to start one
 */
record LocalSettings(
        @Nullable String kafka,
        String kafkaConfig,
        @Nullable String redis,
        @Nullable String history,
        int kafkaPort,
        int kafkaControllerPort,
        int redisPort,
        int postgresPort,
        int coordinatorPort,
        String logLevel,
        Function<String, String> libraryLogLevels,
        Path data) {

    static LocalSettings of(String[] arguments) {
        ConfigurableEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addFirst(new SimpleCommandLinePropertySource(arguments));
        return new LocalSettings(
                environment.getProperty("aitbc.kafka.bootstrap-servers"),
                environment.getProperty("aitbc.kafka.config", ""),
                environment.getProperty("aitbc.redis.url"),
                environment.getProperty("aitbc.history.url"),
                port(environment, "aitbc.local.kafka-port", "9092"),
                port(environment, "aitbc.local.kafka-controller-port", "9093"),
                port(environment, "aitbc.local.redis-port", "6379"),
                // Not 5432: many machines have a PostgreSQL there.
                port(environment, "aitbc.local.postgres-port", "15432"),
                port(environment, "aitbc.coordinator.port", "9001"),
                environment.getProperty("aitbc.log.level", "WARN"),
                logger -> environment.getProperty("logging.level." + logger, "ERROR"),
                Path.of(environment.getProperty("aitbc.local.data", "data"))
                        .toAbsolutePath()
                        .normalize());
    }

    String libraryLogLevel(String logger) {
        return libraryLogLevels.apply(logger);
    }

    /** @throws StartupException naming the first required port that is in use */
    void checkPorts() {
        if (kafka == null) {
            checkFree(kafkaPort, "Kafka", "aitbc.local.kafka-port");
            checkFree(kafkaControllerPort, "Kafka's controller", "aitbc.local.kafka-controller-port");
        }
        if (redis == null) {
            checkFree(redisPort, "Redis", "aitbc.local.redis-port");
        }
        if (history == null) {
            checkFree(postgresPort, "PostgreSQL", "aitbc.local.postgres-port");
        }
        checkFree(coordinatorPort, "the coordinator", "aitbc.coordinator.port");
    }

    private static int port(ConfigurableEnvironment environment, String property, String otherwise) {
        String text = environment.getProperty(property, otherwise);
        if (!text.matches("[1-9]\\d{0,4}") || Integer.parseInt(text) > 65_535) {
            throw new StartupException(
                    property + " (" + variable(property) + ") must be a port, 1 to 65535, but was \"" + text + "\".");
        }
        return Integer.parseInt(text);
    }

    private static void checkFree(int port, String what, String property) {
        try (ServerSocket socket = new ServerSocket()) {
            socket.setReuseAddress(true);
            socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        } catch (IOException e) {
            throw new StartupException("Port " + port + " for " + what + " is in use. To use another, set " + property
                    + ", for example " + variable(property) + "=" + (port + 100) + " in the environment.");
        }
    }

    private static String variable(String property) {
        return property.toUpperCase(Locale.ROOT).replace('.', '_').replace('-', '_');
    }

    /** Thrown when the stack cannot start; the message is shown to the user verbatim. */
    static final class StartupException extends RuntimeException {
        StartupException(String message) {
            super(message);
        }
    }
}

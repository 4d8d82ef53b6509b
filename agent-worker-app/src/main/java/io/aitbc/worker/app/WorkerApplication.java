package io.aitbc.worker.app;

import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Topics;
import io.aitbc.worker.AgentWorker;
import io.aitbc.worker.Handler;
import io.aitbc.worker.handlers.TaskTypes;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** A ready-made agent that echoes, sleeps, hashes, calls URLs and queries language models. */
@Command(
        name = "agent-worker",
        mixinStandardHelpOptions = true,
        version = "agent-worker 0.3.0",
        description = "Runs an agent. task_data.task_type selects what a task does: echo, sleep, hash, http, and chat"
                + " if --chat-url is set. The agent registers these task types as its capabilities.",
        showDefaultValues = true,
        sortOptions = false)
public final class WorkerApplication implements Callable<Integer> {
    @Option(names = "--agent-id", required = true, description = "Agent id: letters, digits, . _ -")
    private String agentId = "";

    @Option(
            names = "--bootstrap-servers",
            defaultValue = "${env:AITBC_KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}",
            description = "Kafka bootstrap servers; environment variable AITBC_KAFKA_BOOTSTRAP_SERVERS")
    private String bootstrapServers = "";

    @Option(
            names = "--kafka-config",
            paramLabel = "FILE",
            defaultValue = "${env:AITBC_KAFKA_CONFIG}",
            description = "Properties file with further settings of Kafka's clients, such as for TLS and SASL;"
                    + " environment variable AITBC_KAFKA_CONFIG",
            showDefaultValue = CommandLine.Help.Visibility.NEVER)
    private @Nullable String kafkaConfig;

    @Option(
            names = "--topic-prefix",
            defaultValue = "",
            description = "Prefix of all topic names, as configured for the coordinators")
    private String topicPrefix = "";

    @Option(names = "--type", defaultValue = "worker", description = "Agent type")
    private String type = "";

    @Option(names = "--capacity", defaultValue = "10", description = "Maximum number of concurrent tasks")
    private int capacity;

    @Option(names = "--weight", defaultValue = "1.0", description = "Share of tasks under WEIGHTED_ROUND_ROBIN")
    private double weight;

    @Option(names = "--capability", description = "Capability in addition to the task types; may be repeated")
    private List<String> capabilities = List.of();

    @Option(names = "--service", description = "Service offered; may be repeated")
    private List<String> services = List.of();

    @Option(names = "--tag", description = "Tag; may be repeated")
    private List<String> tags = List.of();

    @Option(
            names = "--resource",
            paramLabel = "NAME=AMOUNT",
            description = "Resource that tasks may take, such as gpu=4; may be repeated")
    private Map<String, BigDecimal> resources = Map.of();

    @Option(names = "--region", description = "Region name")
    private @Nullable String region;

    @Option(names = "--location", description = "Location as latitude,longitude")
    private @Nullable String location;

    @Option(names = "--file-root", description = "Folder from which hash may read files; no file access if absent")
    private @Nullable Path fileRoot;

    @Option(
            names = "--http-allow-private",
            description = "Lets http tasks call loopback and private addresses, not only public ones")
    private boolean httpAllowPrivate;

    @Option(
            names = "--chat-url",
            description = "Base URL of an OpenAI-compatible API, such as http://localhost:11434/v1; no chat if absent")
    private @Nullable String chatUrl;

    @Option(
            names = "--chat-key",
            defaultValue = "${env:CHAT_API_KEY}",
            description = "API key; prefer the environment variable CHAT_API_KEY",
            showDefaultValue = CommandLine.Help.Visibility.NEVER)
    private @Nullable String chatKey;

    /** No option takes the key itself: all users of a machine see the arguments of its processes. */
    @Option(
            names = "--key-file",
            paramLabel = "FILE",
            description =
                    "File with the agent's API key, for coordinators with security on; default: the key in AITBC_API_KEY")
    private @Nullable Path keyFile;

    @Option(names = "--heartbeat-seconds", defaultValue = "10", description = "Heartbeat interval")
    private int heartbeatSeconds;

    @Option(names = "--drain-seconds", defaultValue = "30", description = "Time to finish running tasks at shutdown")
    private int drainSeconds;

    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        return new CommandLine(new WorkerApplication()).setExecutionExceptionHandler((e, command, result) -> {
            command.getErr().println(reason(e));
            return 1;
        });
    }

    /** Of a Kafka client that cannot be created, only the innermost cause says why. */
    private static @Nullable String reason(Throwable failure) {
        if (failure instanceof KafkaException && failure.getCause() != null) {
            return reason(failure.getCause());
        }
        String message = failure.getMessage();
        // Kafka quotes what it cannot read, which may be a part of a password.
        return message != null && message.endsWith("in JAAS config")
                ? "sasl.jaas.config must have the password in quotes, and end with a semicolon"
                : message;
    }

    @Override
    public Integer call() throws InterruptedException, IOException {
        Map<String, Handler> handlers = TaskTypes.builtIn(fileRoot, chatUrl, chatKey, httpAllowPrivate);
        List<String> all = new ArrayList<>(handlers.keySet());
        all.addAll(capabilities);
        Registration registration = new Registration(
                agentId,
                type,
                all,
                services,
                Json.object(),
                Json.object(),
                tags,
                "1.0.0",
                capacity,
                weight,
                region,
                location == null ? null : location(location),
                null,
                null,
                Resources.of(resources),
                Delivery.KAFKA);
        AgentWorker.Builder builder = AgentWorker.builder(bootstrapServers, registration, new TaskTypes(handlers))
                .topics(new Topics(topicPrefix))
                .heartbeatInterval(Duration.ofSeconds(heartbeatSeconds))
                .drainTimeout(Duration.ofSeconds(drainSeconds))
                .kafka(kafka());
        apiKey().ifPresent(builder::apiKey);
        AgentWorker worker = builder.start();
        Runtime.getRuntime().addShutdownHook(new Thread(worker::close, "shutdown"));
        System.out.println("Agent " + agentId + " is starting; press Ctrl-C to stop");
        worker.join();
        return worker.hasFailed() ? 1 : 0;
    }

    private Optional<String> apiKey() {
        if (keyFile == null) {
            return Optional.ofNullable(System.getenv("AITBC_API_KEY")).filter(key -> !key.isEmpty());
        }
        try {
            return Optional.of(Files.readString(keyFile).strip());
        } catch (IOException e) {
            throw new IllegalArgumentException("--key-file cannot be read: " + keyFile, e);
        }
    }

    private Properties kafka() throws IOException {
        if (kafkaConfig == null || kafkaConfig.isEmpty()) {
            return new Properties();
        }
        if (!Files.isReadable(Path.of(kafkaConfig))) {
            throw new IllegalArgumentException(
                    "--kafka-config must be a file that can be read but was \"" + kafkaConfig + "\"");
        }
        return Utils.loadProps(kafkaConfig);
    }

    private static Location location(String text) {
        String[] parts = text.split(",");
        try {
            return new Location(Double.parseDouble(parts[0]), Double.parseDouble(parts[1]));
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
            throw new IllegalArgumentException("--location must be latitude,longitude but was \"" + text + "\"");
        }
    }
}

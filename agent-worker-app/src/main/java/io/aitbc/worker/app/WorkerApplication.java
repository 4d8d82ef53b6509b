package io.aitbc.worker.app;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import io.aitbc.worker.AgentWorker;
import io.aitbc.worker.Handler;
import io.aitbc.worker.handlers.TaskTypes;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** A worker to run: an agent that echoes, sleeps, hashes, calls URLs and asks language models. */
@Command(
        name = "agent-worker",
        mixinStandardHelpOptions = true,
        version = "agent-worker 0.1.0",
        description =
                "Runs an agent whose tasks say in task_data.task_type what to do: echo, sleep, hash, http, and chat"
                        + " where --chat-url is given. What it can do is what it registers as its capabilities.",
        showDefaultValues = true,
        sortOptions = false)
public final class WorkerApplication implements Callable<Integer> {
    @Option(names = "--agent-id", required = true, description = "Its name: letters, digits, . _ -")
    private String agentId = "";

    @Option(
            names = "--bootstrap-servers",
            defaultValue = "${env:AITBC_KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}",
            description = "Where Kafka is; AITBC_KAFKA_BOOTSTRAP_SERVERS says the same")
    private String bootstrapServers = "";

    @Option(names = "--topic-prefix", defaultValue = "", description = "As the coordinators have it")
    private String topicPrefix = "";

    @Option(names = "--type", defaultValue = "worker", description = "Its agent type")
    private String type = "";

    @Option(names = "--capacity", defaultValue = "10", description = "Tasks at the same time")
    private int capacity;

    @Option(names = "--weight", defaultValue = "1.0", description = "Its share under WEIGHTED_ROUND_ROBIN")
    private double weight;

    @Option(names = "--capability", description = "One more capability than its task types; may be repeated")
    private List<String> capabilities = List.of();

    @Option(names = "--service", description = "A service it offers; may be repeated")
    private List<String> services = List.of();

    @Option(names = "--tag", description = "A tag it carries; may be repeated")
    private List<String> tags = List.of();

    @Option(names = "--region", description = "Where it is, by name")
    private @Nullable String region;

    @Option(names = "--location", description = "Where it is, as latitude,longitude")
    private @Nullable String location;

    @Option(names = "--file-root", description = "The folder below which hash reads files; none when absent")
    private @Nullable Path fileRoot;

    @Option(
            names = "--chat-url",
            description =
                    "Base of an OpenAI-compatible interface, such as http://localhost:11434/v1; no chat when absent")
    private @Nullable String chatUrl;

    @Option(
            names = "--chat-key",
            defaultValue = "${env:CHAT_API_KEY}",
            description = "Its key; better given as the environment variable CHAT_API_KEY",
            showDefaultValue = CommandLine.Help.Visibility.NEVER)
    private @Nullable String chatKey;

    @Option(names = "--heartbeat-seconds", defaultValue = "10", description = "Time between signs of life")
    private int heartbeatSeconds;

    @Option(
            names = "--drain-seconds",
            defaultValue = "30",
            description = "How long it finishes what it has when told to end")
    private int drainSeconds;

    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        return new CommandLine(new WorkerApplication()).setExecutionExceptionHandler((e, command, result) -> {
            command.getErr().println(e.getMessage());
            return 1;
        });
    }

    @Override
    public Integer call() throws InterruptedException {
        Map<String, Handler> handlers = TaskTypes.builtIn(fileRoot, chatUrl, chatKey);
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
                null,
                capacity,
                weight,
                region,
                location == null ? null : location(location),
                null,
                null);
        AgentWorker worker = AgentWorker.builder(bootstrapServers, registration, new TaskTypes(handlers))
                .topics(new Topics(topicPrefix))
                .heartbeatInterval(Duration.ofSeconds(heartbeatSeconds))
                .drainTimeout(Duration.ofSeconds(drainSeconds))
                .start();
        Runtime.getRuntime().addShutdownHook(new Thread(worker::close, "shutdown"));
        System.out.println("Agent " + agentId + " starts, Ctrl-C ends it");
        worker.join();
        return worker.hasFailed() ? 1 : 0;
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

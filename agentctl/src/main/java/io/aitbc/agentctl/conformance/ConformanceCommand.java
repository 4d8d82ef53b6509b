package io.aitbc.agentctl.conformance;

import io.aitbc.agentctl.conformance.Check.Finding;
import io.aitbc.agentctl.conformance.Check.Verdict;
import io.aitbc.contracts.Json;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

@Command(
        name = "conformance",
        description = {
            "Simulates a coordinator for an agent, and says what the agent gets wrong.",
            "Without a command, start the agent yourself: over HTTP with the printed address of the coordinator, over"
                    + " Kafka with --bootstrap-servers and --topic-prefix. The command gets both in its environment:"
                    + " COORDINATOR_URL, KAFKA, AITBC_KAFKA_CONFIG, AITBC_TOPICS_PREFIX, AGENT_ID."
        },
        sortOptions = false)
public final class ConformanceCommand implements Callable<Integer> {
    private static final Duration REGISTRATION_TIMEOUT = Duration.ofSeconds(60);

    private final PrintWriter out;
    private final PrintWriter err;
    private final BooleanSupplier writesJson;

    @Spec
    private CommandSpec spec;

    @Option(names = "--agent", paramLabel = "ID", required = true, description = "Id with which the agent registers")
    private String agentId = "";

    @Option(
            names = "--task",
            paramLabel = "JSON",
            defaultValue = "{\"task_type\": \"sleep\", \"seconds\": 2}",
            description = "task_data of a task that keeps the agent busy; default: ${DEFAULT-VALUE}")
    private String task = "";

    @Option(
            names = "--seconds",
            paramLabel = "N",
            defaultValue = "2",
            description = "For how long that task keeps it busy; default: ${DEFAULT-VALUE}")
    private double seconds;

    @Option(
            names = "--heartbeat-seconds",
            paramLabel = "N",
            defaultValue = "30",
            description = "How long the agent may send no heartbeat while it is busy; default: ${DEFAULT-VALUE}")
    private int heartbeatSeconds;

    @Option(
            names = "--check",
            paramLabel = "NAME",
            converter = Check.Names.class,
            completionCandidates = Check.Names.class,
            description = "Only this check; may be repeated. One of ${COMPLETION-CANDIDATES}")
    private List<Check> checks = List.of();

    @Option(
            names = "--port",
            paramLabel = "PORT",
            defaultValue = "0",
            description = "Port of the simulated coordinator; default: a free one")
    private int port;

    @Option(
            names = "--bootstrap-servers",
            paramLabel = "SERVERS",
            description = "Kafka servers, for an agent over Kafka; its topics are created there")
    private @Nullable String bootstrapServers;

    @Option(
            names = "--kafka-config",
            paramLabel = "FILE",
            defaultValue = "${env:AITBC_KAFKA_CONFIG}",
            description = "Properties file with further settings of Kafka's clients, such as for TLS and SASL; default:"
                    + " the environment variable AITBC_KAFKA_CONFIG")
    private @Nullable String kafkaConfig;

    @Option(
            names = "--topic-prefix",
            paramLabel = "PREFIX",
            defaultValue = "conformance.",
            description = "Prefix of these topics, which no coordinator may use; default: ${DEFAULT-VALUE}")
    private String topicPrefix = "";

    @Parameters(paramLabel = "COMMAND", description = "Starts the agent")
    private List<String> command = List.of();

    public ConformanceCommand(PrintWriter out, PrintWriter err, BooleanSupplier writesJson) {
        this.out = out;
        this.err = err;
        this.writesJson = writesJson;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        Journal journal = new Journal(agentId);
        try (HttpDesk http = new HttpDesk(port, journal);
                KafkaDesk kafka = bootstrapServers == null
                        ? null
                        : new KafkaDesk(kafka(bootstrapServers), topicPrefix, agentId, journal)) {
            if (command.isEmpty()) {
                return check(journal, http, kafka, null);
            }
            try (AgentProcess agent = start(http.url())) {
                agent.onEnd(journal::ended);
                return check(journal, http, kafka, agent);
            }
        } catch (ExecutionException | KafkaException e) {
            err.println("No topics can be created at Kafka " + bootstrapServers + ": "
                    + innermost(e).getMessage());
            err.flush();
            return 1;
        }
    }

    private static Throwable innermost(Throwable failure) {
        return failure.getCause() == null ? failure : innermost(failure.getCause());
    }

    private Map<String, Object> kafka(String servers) throws IOException {
        Map<String, Object> config = new HashMap<>();
        if (kafkaConfig != null && !kafkaConfig.isEmpty()) {
            Properties file = Utils.loadProps(kafkaConfig);
            file.stringPropertyNames().forEach(name -> config.put(name, file.getProperty(name)));
        }
        config.put("bootstrap.servers", servers);
        return config;
    }

    private AgentProcess start(String url) throws IOException {
        Map<String, String> environment = new HashMap<>(Map.of("COORDINATOR_URL", url, "AGENT_ID", agentId));
        if (bootstrapServers != null) {
            environment.putAll(Map.of("KAFKA", bootstrapServers, "AITBC_TOPICS_PREFIX", topicPrefix));
            if (kafkaConfig != null) {
                environment.put("AITBC_KAFKA_CONFIG", kafkaConfig);
            }
        }
        return AgentProcess.start(command, environment);
    }

    private int check(Journal journal, HttpDesk http, @Nullable KafkaDesk kafka, @Nullable AgentProcess agent)
            throws InterruptedException {
        if (agent == null) {
            err.println("Waiting for agent " + agentId + " at " + http.url()
                    + (kafka == null ? "" : " and at Kafka " + bootstrapServers + " with topic prefix " + topicPrefix));
            err.flush();
        }
        ObjectNode registered = journal.await(REGISTRATION_TIMEOUT, journal::registration);
        if (registered == null) {
            return write(List.of(new Finding(Check.COMPLETES, Verdict.FAILED, whyNotRegistered(journal, agent))));
        }
        boolean isShared =
                List.of("pull", "push").contains(registered.path("delivery").asString(""));
        if (!isShared && kafka == null) {
            throw new ParameterException(
                    spec.commandLine(), "Agent " + agentId + " registers for Kafka: --bootstrap-servers is required.");
        }
        return write(new Conformance(
                        agentId,
                        isShared ? http : Objects.requireNonNull(kafka),
                        journal,
                        agent,
                        Json.read(task, ObjectNode.class),
                        Duration.ofMillis((long) (seconds * 1_000)),
                        Duration.ofSeconds(heartbeatSeconds))
                .run(checks.isEmpty() ? Arrays.asList(Check.values()) : checks));
    }

    private String whyNotRegistered(Journal journal, @Nullable AgentProcess agent) throws InterruptedException {
        String violation = journal.violation();
        String ending = agent == null ? null : agent.ending();
        if (violation != null) {
            return violation + (ending == null ? "" : "; " + ending);
        }
        String otherId = journal.otherId();
        String misdirected = journal.misdirected();
        return (ending == null
                        ? "agent " + agentId + " has not registered within " + REGISTRATION_TIMEOUT.toSeconds() + " s"
                        : "agent " + agentId + " has not registered: " + ending)
                + (otherId == null ? "" : "; agent " + otherId + " has")
                + (misdirected == null ? "" : " (" + misdirected + ")");
    }

    private int write(List<Finding> findings) {
        long failed = findings.stream()
                .filter(finding -> finding.verdict() == Verdict.FAILED)
                .count();
        if (writesJson.getAsBoolean()) {
            ObjectNode report = Json.object().put("agent_id", agentId).put("conforms", failed == 0);
            ArrayNode all = report.putArray("checks");
            findings.forEach(finding -> all.addObject()
                    .put("check", finding.check().toString())
                    .put("verdict", finding.verdict().toString())
                    .put("detail", finding.what()));
            out.println(report);
        } else {
            findings.forEach(finding -> out.println(String.format("%-20s %s", finding.check(), finding.verdict())
                    + (finding.what().isEmpty() ? "" : ": " + finding.what())));
            out.println(
                    failed == 0
                            ? "Agent " + agentId + " conforms."
                            : "Agent " + agentId + " fails " + failed + " of " + findings.size() + " checks.");
        }
        out.flush();
        return failed == 0 ? 0 : 1;
    }
}

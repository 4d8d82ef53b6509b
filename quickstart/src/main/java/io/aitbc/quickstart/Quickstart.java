package io.aitbc.quickstart;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.Coordinator;
import io.aitbc.coordinator.CoordinatorApplication;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.localstack.LocalKafka;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.worker.AgentWorker;
import io.aitbc.worker.Handler;
import io.aitbc.worker.handlers.TaskTypes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.Utils;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.logging.LogLevel;
import org.springframework.boot.logging.LoggingSystem;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.Environment;

/** Starts the complete local stack, prints its addresses, and stops it. */
public final class Quickstart implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private static final Duration DRAIN = Duration.ofSeconds(2);

    /** Defaults, which user settings override. */
    private static final Map<String, Object> DEFAULTS = Map.of(
            "server.address",
            HOST,
            // All agents share a process with the broker and report its load as their own.
            "AITBC_REGISTRY_MAX_CPU",
            "2",
            "AITBC_REGISTRY_MIN_HEALTH_SCORE",
            "0.2");

    private final LocalSettings settings;
    private final String[] arguments;
    private ConfigurableApplicationContext context;
    private final Deque<AutoCloseable> started = new ConcurrentLinkedDeque<>();

    @SuppressWarnings("NullAway.Init") // Set by the start of the coordinator, before anything reads it.
    private Quickstart(LocalSettings settings, String[] arguments) {
        this.settings = settings;
        this.arguments = arguments;
    }

    public static void main(String[] arguments) {
        try {
            LocalSettings settings = LocalSettings.of(arguments);
            settings.checkPorts();
            if (Relaunch.isNeeded()) {
                System.exit(Relaunch.run(settings.data().resolve("classes"), Quickstart.class.getName(), arguments));
            }
            Quickstart quickstart = new Quickstart(settings, arguments);
            // Registered before anything starts, because Ctrl-C may arrive during startup.
            Runtime.getRuntime().addShutdownHook(new Thread(quickstart::close, "shutdown"));
            quickstart.run();
        } catch (LocalSettings.StartupException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        } catch (RuntimeException | IOException | InterruptedException e) {
            LoggerFactory.getLogger(Quickstart.class).error("Could not start the local stack", e);
            System.exit(1);
        }
    }

    /** Returns once all components are ready. */
    static Quickstart start(String[] arguments) {
        LocalSettings settings = LocalSettings.of(arguments);
        settings.checkPorts();
        Quickstart quickstart = new Quickstart(settings, arguments);
        quickstart.run();
        return quickstart;
    }

    private void run() {
        CompletableFuture<String> starting = CompletableFuture.supplyAsync(this::history);
        String kafka = kafka();
        String redis = redis();
        String history = starting.join();
        print("Starting the coordinator …");
        ConfigurableApplicationContext coordinator = coordinator(kafka, redis, history);
        Optional<String> key = agentKey(coordinator.getEnvironment());
        List<AgentWorker> agents = List.of(
                agent(kafka, key, "amsterdam", "eu-west", 52.37, 4.89),
                agent(kafka, key, "singapore", "ap-south", 1.35, 103.82),
                agent(kafka, key, "virginia", "us-east", 38.95, -77.45));
        started.push(() -> closeAll(agents));
        awaitReady(coordinator, agents);
        printInstructions(kafka, redis, agents);
    }

    private String kafka() {
        if (settings.kafka() != null) {
            return settings.kafka();
        }
        print("Starting Kafka on " + HOST + ":" + settings.kafkaPort() + " …");
        LocalKafka kafka = LocalKafka.start(
                settings.data().resolve("kafka"), settings.kafkaPort(), settings.kafkaControllerPort());
        started.push(kafka);
        return kafka.bootstrapServers();
    }

    private String redis() {
        if (settings.redis() != null) {
            return settings.redis();
        }
        print("Starting Redis on " + HOST + ":" + settings.redisPort() + " …");
        LocalRedis redis = LocalRedis.start(settings.data().resolve("redis"), settings.redisPort());
        started.push(redis);
        return redis.url();
    }

    private String history() {
        if (settings.history() != null) {
            return settings.history();
        }
        print("Starting PostgreSQL on " + HOST + ":" + settings.postgresPort() + " …");
        try {
            LocalPostgres postgres = LocalPostgres.start(settings.data().resolve("postgres"), settings.postgresPort());
            started.push(postgres);
            return postgres.url();
        } catch (RuntimeException e) {
            // There is none for some platforms. Only search needs it.
            print("PostgreSQL could not be started, so there is no history of tasks: " + e.getMessage());
            return "off";
        }
    }

    private ConfigurableApplicationContext coordinator(String kafka, String redis, String history) {
        SpringApplication application = new SpringApplication(CoordinatorApplication.class);
        // close() stops it, in order with the other components.
        application.setRegisterShutdownHook(false);
        application.setDefaultProperties(DEFAULTS);
        List<String> decided = List.of(
                "--aitbc.kafka.bootstrap-servers=" + kafka,
                "--aitbc.redis.url=" + redis,
                "--aitbc.history.url=" + history,
                "--aitbc.coordinator.port=" + settings.coordinatorPort(),
                "--aitbc.push.allow-private-addresses=true",
                "--aitbc.log.level=" + settings.logLevel(),
                "--logging.level.org.apache.kafka=" + settings.libraryLogLevel("org.apache.kafka"),
                "--logging.level.io.zonky.test.db.postgres=" + settings.libraryLogLevel("io.zonky.test.db.postgres"),
                "--logging.level.io.lettuce.core.protocol=" + settings.libraryLogLevel("io.lettuce.core.protocol"));
        Set<String> names = decided.stream().map(Quickstart::name).collect(Collectors.toSet());
        List<String> all = new ArrayList<>(decided);
        // Repeated arguments would be read as a list.
        Stream.of(arguments).filter(argument -> !names.contains(name(argument))).forEach(all::add);
        ConfigurableApplicationContext context = application.run(all.toArray(String[]::new));
        started.push(context);
        this.context = context;
        return context;
    }

    /** Returns a bean of the coordinator, for tests. */
    <T> T bean(Class<T> type) {
        return context.getBean(type);
    }

    private static String name(String argument) {
        return argument.split("=", 2)[0];
    }

    /** The agents of the local run use the admin key. */
    private static Optional<String> agentKey(Environment environment) {
        if (!environment.getRequiredProperty("aitbc.security").equals("on")) {
            return Optional.empty();
        }
        String key = environment.getRequiredProperty("aitbc.admin.key");
        if (key.isEmpty()) {
            throw new LocalSettings.StartupException(
                    "AITBC_ADMIN_KEY is required with AITBC_SECURITY=on: the agents of the local run use it.");
        }
        return Optional.of(key);
    }

    private AgentWorker agent(String kafka, Optional<String> key, String name, String region, double lat, double lon) {
        Map<String, Handler> handlers = TaskTypes.builtIn(Path.of(""), null, null, true);
        Registration registration = new Registration(
                name,
                "worker",
                List.copyOf(handlers.keySet()),
                List.of(),
                Json.object(),
                Json.object(),
                List.of("example"),
                "1.0.0",
                20,
                1.0,
                region,
                new Location(lat, lon),
                null,
                null,
                Resources.NONE,
                Delivery.KAFKA);
        AgentWorker.Builder agent = AgentWorker.builder(kafka, registration, new TaskTypes(handlers))
                .drainTimeout(DRAIN)
                .kafka(kafkaConfig());
        key.ifPresent(agent::apiKey);
        return agent.start();
    }

    private Properties kafkaConfig() {
        try {
            return settings.kafkaConfig().isEmpty() ? new Properties() : Utils.loadProps(settings.kafkaConfig());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void awaitReady(ConfigurableApplicationContext context, List<AgentWorker> agents) {
        Coordinator coordinator = context.getBean(Coordinator.class);
        AgentView view = context.getBean(AgentView.class);
        Set<String> wanted = agents.stream().map(AgentWorker::agentId).collect(Collectors.toSet());
        try {
            while (context.isRunning()
                    && !(coordinator.isStarted() && active(view).containsAll(wanted))) {
                MILLISECONDS.sleep(200);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static Set<String> active(AgentView view) {
        return view.active().stream().map(Agent::id).collect(Collectors.toSet());
    }

    private void printInstructions(String kafka, String redis, List<AgentWorker> agents) {
        String rest = "http://" + HOST + ":" + settings.coordinatorPort();
        print("");
        print("The agent coordinator is up.");
        print("  Dashboard  " + rest + "/dashboard");
        print("  REST       " + rest + "/docs");
        print("  Kafka      " + kafka);
        print("  Redis      " + redis.replaceFirst("//.*@", "//***@"));
        print("  Agents     "
                + String.join(", ", agents.stream().map(AgentWorker::agentId).toList()));
        print("  Data       " + settings.data());
        print("");
        boolean isSecured =
                context.getEnvironment().getRequiredProperty("aitbc.security").equals("on");
        String curl = "  curl -s " + (isSecured ? "-H \"X-API-Key: $AITBC_ADMIN_KEY\" " : "");
        print("Try it in another terminal" + (isSecured ? ", with AITBC_ADMIN_KEY set there too:" : ":"));
        print(curl + rest + "/tasks/submit -H 'Content-Type: application/json' \\");
        print(
                "       -d '{\"task_id\":\"hello\",\"priority\":\"high\",\"task_data\":{\"task_type\":\"hash\",\"text\":\"hello\"},"
                        + "\"requirements\":{\"capabilities\":[\"hash\"]}}'");
        print(curl + "'" + rest + "/tasks/hello?wait=10s'");
        print("");
        print("Press Ctrl-C to stop.");
    }

    private static void closeAll(List<AgentWorker> agents) {
        agents.parallelStream().forEach(AgentWorker::close);
    }

    @Override
    public void close() {
        print("");
        print("Stopping …");
        if (settings.redis() == null) {
            // Ctrl-C also stops Redis, a child process; warnings about the lost connection would be noise.
            LoggingSystem.get(getClass().getClassLoader()).setLogLevel(LoggingSystem.ROOT_LOGGER_NAME, LogLevel.ERROR);
        }
        while (!started.isEmpty()) {
            try {
                started.pop().close();
            } catch (Exception e) {
                LoggerFactory.getLogger(Quickstart.class).warn("Did not stop cleanly: {}", e.toString());
            }
        }
        print("Stopped.");
    }

    private static void print(String line) {
        System.out.println(line);
    }
}

package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import io.aitbc.worker.AgentWorker;
import io.lettuce.core.RedisClient;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ClusterAuthorizationException;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.core.NestedExceptionUtils;
import tools.jackson.databind.JsonNode;

/** A broker that authenticates its clients, and allows each what {@code operations/kafka/acls.sh} says. */
@EnabledIf(value = "io.aitbc.coordinator.security.Programs#hasOpenssl", disabledReason = "openssl is missing")
@ExtendWith(OutputCaptureExtension.class)
class KafkaSecurityTest {
    private static final String PASSWORD = "password-of-";
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final Duration POLL = Duration.ofMillis(100);

    @TempDir
    static Path folder;

    private static LocalStack stack;
    private static Admin superUser;
    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() throws Exception {
        Certificates.create(folder, "kafka", "certified");
        stack = LocalStack.startSecured(folder);
        superUser = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()));
        for (String user : List.of("coordinator", "producer", "reader", "agent-1", "agent-2")) {
            createUser(user, ScramMechanism.SCRAM_SHA_256);
        }
        createUser("with-password", ScramMechanism.SCRAM_SHA_512);
        allow("", "coordinator", "coordinator");
        allow("", "producer", "producer");
        allow("", "reader", "reader", "billing");
        for (String agent : List.of("agent-1", "agent-2", "with-password", "certified", "with-token")) {
            allow("", "agent", agent, agent);
        }
        superUser
                .createTopics(Stream.of("assignments.agent-1", "assignments.agent-2")
                        .map(topic -> new NewTopic(topic, Optional.empty(), Optional.empty()))
                        .toList())
                .all()
                .get();
        coordinator = RunningCoordinator.start(
                stack,
                "",
                0,
                "--aitbc.kafka.bootstrap-servers=" + stack.saslServers(),
                "--aitbc.kafka.config=" + file("coordinator", passwordInAFile("coordinator")),
                "--aitbc.topics.departed-agent-retention=1s",
                "--logging.level.kafka.authorizer.logger=INFO",
                "--logging.level.org.apache.kafka.common.config=INFO");
    }

    @AfterAll
    static void stop() {
        coordinator.close();
        superUser.close();
        stack.close();
    }

    private static void createUser(String name, ScramMechanism mechanism) throws Exception {
        superUser
                .alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                        name, new ScramCredentialInfo(mechanism, 4096), PASSWORD + name)))
                .all()
                .get();
    }

    private static void allow(String prefix, String... arguments) throws Exception {
        superUser.createAcls(KafkaAcls.of(folder, prefix, arguments)).all().get();
    }

    private static Properties password(String user, String mechanism) {
        return client(Map.of(
                "security.protocol",
                "SASL_SSL",
                "sasl.mechanism",
                mechanism,
                "sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" password=\"%s\";"
                        .formatted(user, PASSWORD + user)));
    }

    /** As a mounted secret. */
    private static Properties passwordInAFile(String user) throws IOException {
        Path secret = folder.resolve("secret.properties");
        Files.writeString(secret, "password=" + PASSWORD + user);
        Properties properties = password(user, "SCRAM-SHA-256");
        properties.put(
                "sasl.jaas.config",
                properties.getProperty("sasl.jaas.config").replace(PASSWORD + user, "${file:" + secret + ":password}"));
        properties.put("config.providers", "file");
        properties.put("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider");
        return properties;
    }

    private static Properties certificate(String user) {
        return client(Map.of(
                "security.protocol", "SSL",
                "ssl.keystore.type", "PEM",
                "ssl.keystore.location", folder.resolve(user + ".pem").toString()));
    }

    /** A token as Kafka makes one itself. One from an issuer needs other settings, but the same mechanism. */
    private static Properties token(String user) {
        return client(Map.of(
                "security.protocol",
                "SASL_SSL",
                "sasl.mechanism",
                "OAUTHBEARER",
                "sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
                        + " unsecuredLoginStringClaim_sub=\"%s\";".formatted(user)));
    }

    private static Properties client(Map<String, String> own) {
        Properties properties = new Properties();
        properties.putAll(own);
        properties.put("ssl.truststore.type", "PEM");
        properties.put("ssl.truststore.location", folder.resolve("ca.pem").toString());
        return properties;
    }

    private static Path file(String user, Properties properties) throws IOException {
        Path file = folder.resolve(user + ".properties");
        try (Writer writer = Files.newBufferedWriter(file)) {
            properties.store(writer, null);
        }
        return file;
    }

    private static AgentWorker agent(String id, String servers, Properties client) {
        return AgentWorker.builder(
                        servers,
                        Registration.of(id, "worker", List.of(), 2),
                        (assignment, context) -> Json.object().put("by", assignment.agentId()))
                .kafka(client)
                .start();
    }

    @Test
    void eachRoleMayDoWhatItNeeds(CapturedOutput output) throws Exception {
        List<AgentWorker> agents = List.of(
                agent("with-password", stack.saslServers(), password("with-password", "SCRAM-SHA-512")),
                agent("certified", stack.tlsServers(), certificate("certified")),
                agent("with-token", stack.saslServers(), token("with-token")));
        try (KafkaProducer<String, String> producer = producer("producer")) {
            for (AgentWorker agent : agents) {
                producer.send(new ProducerRecord<>("tasks.high", """
                        {"task_id": "for-%1$s", "task_data": {}, "requirements": {"agent_id": "%1$s"}}""".formatted(agent.agentId())))
                        .get();
            }
            for (AgentWorker agent : agents) {
                coordinator.awaitTask("for-" + agent.agentId(), "completed");
            }
            producer.send(new ProducerRecord<>("tasks.low", "not a task")).get();
        }
        try (KafkaConsumer<String, String> reader = consumer("reader", "billing")) {
            reader.subscribe(List.of("tasks.results", "tasks.dead-letter"));
            List<ConsumerRecord<String, String>> read = new ArrayList<>();
            await().atMost(LONG).until(() -> {
                reader.poll(POLL).forEach(read::add);
                return read.size() > agents.size();
            });
        }
        assertThat(coordinator
                        .post("/keys", "{\"name\": \"a key\", \"role\": \"viewer\"}")
                        .code())
                .isBetween(200, 201);
        coordinator.post("/tasks/queues/low/pause", "");
        coordinator.submit("{\"task_id\": \"waits\", \"priority\": \"low\", \"task_data\": {}}");
        assertThat(coordinator.get("/tasks/waits/explain").code()).isEqualTo(200);
        assertThat(coordinator.get("/tasks/queues/low").code()).isEqualTo(200);
        assertThat(coordinator.get("/tasks/dead-letter").code()).isEqualTo(200);
        coordinator.post("/tasks/waits/cancel", "");
        coordinator.awaitTask("waits", "cancelled");
        coordinator.post("/tasks/queues/low/resume", "");

        try (RedisClient redis = RedisClient.create(stack.redisUrl())) {
            redis.connect().sync().flushall();
        }
        coordinator.awaitTask("for-certified", "completed");
        coordinator.awaitHealthy();

        agents.parallelStream().forEach(AgentWorker::close);
        await().atMost(LONG)
                .until(() -> superUser.listTopics().names().get(), names -> !names.contains("assignments.certified"));
        try (Admin admin = admin("coordinator")) {
            admin.deleteRecords(Map.of(new TopicPartition("tasks.high", 0), RecordsToDelete.beforeOffset(0)))
                    .all()
                    .get();
        }
        assertThat(output.getAll().lines().filter(line -> line.contains(" is Denied ")))
                .isEmpty();
        assertThat(output).contains("sasl.jaas.config = [hidden]").doesNotContain(PASSWORD);
    }

    @ParameterizedTest
    @CsvSource({
        "agent-1, reads, assignments.agent-2",
        "agent-2, reads, assignments.agent-1",
        "agent-1, joins, agent.agent-2",
        "agent-1, joins, agent-coordinator.results",
        "agent-1, reads, assignments.shared",
        "agent-1, reads, tasks.high",
        "agent-1, reads, tasks.results",
        "agent-1, reads, agents.heartbeat",
        "agent-1, reads, coordinator.keys",
        "agent-1, writes, assignments.agent-1",
        "agent-1, writes, assignments.agent-2",
        "agent-1, writes, tasks.urgent",
        "agent-1, writes, tasks.dead-letter",
        "agent-1, writes, coordinator.control",
        "agent-1, writes, coordinator.keys",
        "agent-1, writes, coordinator.audit",
        "agent-1, creates, assignments.agent-3",
        "agent-1, deletes, assignments.agent-1",
        "producer, writes, tasks.results",
        "producer, writes, tasks.dead-letter",
        "producer, writes, agents.heartbeat",
        "producer, writes, assignments.agent-1",
        "producer, writes, coordinator.control",
        "producer, reads, tasks.high",
        "producer, reads, coordinator.audit",
        "producer, creates, tasks.other",
        "reader, writes, tasks.results",
        "reader, reads, tasks.high",
        "reader, reads, assignments.agent-1",
        "reader, joins, agent-coordinator.results",
        "coordinator, deletes, coordinator.keys",
        "coordinator, deletes, coordinator.audit",
        "coordinator, creates, elsewhere",
    })
    void whatARoleNeedNotDoIsRefused(String user, String does, String what) {
        assertThatThrownBy(() -> attempt(user, does, what))
                .extracting(NestedExceptionUtils::getMostSpecificCause)
                .isInstanceOfAny(
                        does.equals("joins") ? GroupAuthorizationException.class : TopicAuthorizationException.class,
                        // A producer that may not write to any topic.
                        ClusterAuthorizationException.class);
    }

    private static void attempt(String user, String does, String what) throws Exception {
        switch (does) {
            case "reads" -> {
                try (KafkaConsumer<String, String> consumer = consumer(user, "unused")) {
                    consumer.assign(List.of(new TopicPartition(what, 0)));
                    consumer.seekToBeginning(consumer.assignment());
                    consumer.poll(LONG);
                }
            }
            case "joins" -> {
                try (KafkaConsumer<String, String> consumer = consumer(user, what)) {
                    consumer.subscribe(List.of(user.startsWith("agent") ? "assignments." + user : "tasks.results"));
                    consumer.poll(LONG);
                }
            }
            case "writes" -> {
                try (KafkaProducer<String, String> producer = producer(user)) {
                    producer.send(new ProducerRecord<>(what, "{}")).get();
                }
            }
            case "creates" -> {
                try (Admin admin = admin(user)) {
                    admin.createTopics(List.of(new NewTopic(what, Optional.empty(), Optional.empty())))
                            .all()
                            .get();
                }
            }
            default -> {
                try (Admin admin = admin(user)) {
                    admin.deleteTopics(List.of(what)).all().get();
                }
            }
        }
    }

    private static Map<String, Object> sasl(String user) {
        Map<String, Object> config = new HashMap<>(Map.of(
                "bootstrap.servers", stack.saslServers(),
                "auto.offset.reset", "earliest",
                "allow.auto.create.topics", "false"));
        password(user, "SCRAM-SHA-256").forEach((name, value) -> config.put(name.toString(), value));
        return config;
    }

    private static KafkaProducer<String, String> producer(String user) {
        return new KafkaProducer<>(sasl(user), new StringSerializer(), new StringSerializer());
    }

    private static KafkaConsumer<String, String> consumer(String user, String group) {
        Map<String, Object> config = sasl(user);
        config.put("group.id", group);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private static Admin admin(String user) {
        return Admin.create(sasl(user));
    }

    /** With Spring's own properties instead of a file. */
    @Test
    void healthSaysWhyKafkaRefusesACoordinatorAndItStartsOnceAllowed(CapturedOutput output) throws Exception {
        try (RunningCoordinator late = RunningCoordinator.startUnhealthy(
                stack,
                "late.",
                1,
                "--aitbc.kafka.bootstrap-servers=" + stack.saslServers(),
                "--spring.kafka.security.protocol=SASL_SSL",
                "--spring.kafka.ssl.trust-store-type=PEM",
                "--spring.kafka.ssl.trust-store-location=file:" + folder.resolve("ca.pem"),
                "--spring.kafka.properties.sasl.mechanism=SCRAM-SHA-256",
                "--spring.kafka.properties.sasl.jaas.config="
                        + password("late", "SCRAM-SHA-256").getProperty("sasl.jaas.config"))) {
            JsonNode health = late.get("/health").body();
            assertThat(health.at("/kafka/state").asString()).isEqualTo("down");
            assertThat(health.at("/kafka/detail").asString())
                    .isEqualTo("it refuses the credentials: Authentication failed during authentication due to invalid"
                            + " credentials with SASL mechanism SCRAM-SHA-256");
            assertThat(health.toString()).doesNotContain(PASSWORD);

            createUser("late", ScramMechanism.SCRAM_SHA_256);
            await().atMost(LONG)
                    .until(
                            () -> late.get("/health")
                                    .body()
                                    .at("/dispatch/detail")
                                    .asString(""),
                            "not started yet, waiting for Kafka: not authorized to create topic late.tasks.urgent"
                                    ::equals);

            allow("late.", "coordinator", "late");
            late.awaitHealthy();
            assertThat(output).doesNotContain(PASSWORD);
        }
    }

    @Test
    void theDocumentationHasEveryAcl() throws IOException {
        List<String> rows = new ArrayList<>();
        rows.addAll(KafkaAcls.rows("coordinator", KafkaAcls.of(folder, "", "coordinator", "user")));
        rows.addAll(KafkaAcls.rows("agent", KafkaAcls.of(folder, "", "agent", "user", "<agent_id>")));
        rows.addAll(KafkaAcls.rows("producer", KafkaAcls.of(folder, "", "producer", "user")));
        rows.addAll(KafkaAcls.rows("reader", KafkaAcls.of(folder, "", "reader", "user", "<group>")));
        rows.addAll(KafkaAcls.rows("events", KafkaAcls.of(folder, "", "events", "user", "<group>")));
        assertThat(Files.readAllLines(Path.of("..", "docs", "security.md"))).containsSequence(rows);
    }
}

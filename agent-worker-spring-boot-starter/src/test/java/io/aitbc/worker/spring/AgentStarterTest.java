package io.aitbc.worker.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.stereotype.Component;
import tools.jackson.databind.node.ObjectNode;

/** An application on a real broker; the test acts as the coordinator. */
class AgentStarterTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final LocalStack STACK = LocalStack.shared();
    private static final CountDownLatch STARTED = new CountDownLatch(1);
    private static final CountDownLatch LEAVE = new CountDownLatch(1);

    private final Topics topics = new Topics(UUID.randomUUID().toString().substring(0, 8) + ".");
    private final Map<String, Object> servers = Map.of("bootstrap.servers", STACK.bootstrapServers());
    private final KafkaProducer<String, byte[]> producer = new KafkaProducer<>(
            Map.of(
                    "bootstrap.servers",
                    STACK.bootstrapServers(),
                    // While a topic is new, the first batch may be refused and the second be accepted; the first then
                    // never is.
                    "max.in.flight.requests.per.connection",
                    1),
            new StringSerializer(),
            new ByteArraySerializer());

    record Numbers(int a, int b) {}

    @Component
    static class Arithmetic {
        @AgentHandler("add")
        int add(Numbers numbers) {
            return numbers.a() + numbers.b();
        }

        @AgentHandler("who")
        Map<String, String> who(AssignmentContext context, Assignment assignment) {
            context.progress(Json.tree("soon"));
            return Map.of("task", assignment.taskId());
        }

        @AgentHandler("refuse")
        void refuse(Assignment assignment) throws Handler.RejectedException {
            throw new Handler.RejectedException("not " + assignment.taskId());
        }

        @AgentHandler("hold")
        String hold(ObjectNode data) throws InterruptedException {
            STARTED.countDown();
            LEAVE.await();
            return data.get("task_type").asString();
        }
    }

    @SpringBootApplication
    static class Application {}

    @BeforeEach
    void createTopics() throws Exception {
        try (Admin admin = Admin.create(servers)) {
            admin.createTopics(List.of(topics.assignments("spring-1"), topics.results(), topics.heartbeats()).stream()
                            .map(name -> new NewTopic(name, Optional.of(1), Optional.empty()))
                            .toList())
                    .all()
                    .get();
        }
    }

    @AfterEach
    void closeProducer() {
        producer.close();
    }

    private ConfigurableApplicationContext start() {
        return new SpringApplicationBuilder(Application.class, Arithmetic.class)
                .properties(
                        "aitbc.agent.id=spring-1",
                        "aitbc.agent.bootstrap-servers=" + STACK.bootstrapServers(),
                        "aitbc.agent.topic-prefix=" + topics.prefix(),
                        "aitbc.agent.capacity=4",
                        "aitbc.agent.capabilities=gpu",
                        "aitbc.agent.kafka.client.id=mine")
                .run();
    }

    private void assign(String taskId, String taskData) {
        Assignment assignment = Assignment.of(
                Task.of(taskId, Json.read(taskData, ObjectNode.class), Requirements.NONE)
                        .accepted(taskId, Instant.now()),
                Priority.NORMAL,
                "spring-1",
                Instant.now());
        producer.send(new ProducerRecord<>(topics.assignments("spring-1"), taskId, Json.bytes(assignment)));
    }

    private <T> List<T> read(String topic, Class<T> type) {
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(servers, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            List<T> all = new ArrayList<>();
            while (consumer.position(partition) < end) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> all.add(Json.read(record.value(), type)));
            }
            return all;
        }
    }

    private TaskResult awaitEnd(String taskId) {
        return await().atMost(LONG)
                .until(
                        () -> read(topics.results(), TaskResult.class).stream()
                                .filter(result -> result.taskId().equals(taskId))
                                .filter(result -> result.status() != TaskResult.Status.PROGRESS)
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
    }

    @Test
    void methodsRunTheAssignmentsOfTheirTypes() {
        try (ConfigurableApplicationContext application = start()) {
            assign("sum", "{\"task_type\":\"add\",\"a\":2,\"b\":3,\"more\":true}");
            assign("whose", "{\"task_type\":\"who\"}");
            assign("refused", "{\"task_type\":\"refuse\"}");
            assign("invalid", "{\"task_type\":\"add\",\"a\":\"two\"}");
            assign("unknown", "{\"task_type\":\"multiply\"}");

            assertThat(awaitEnd("sum").result().asInt()).isEqualTo(5);
            assertThat(awaitEnd("whose").result().get("task").asString()).isEqualTo("whose");
            assertThat(awaitEnd("refused").status()).isEqualTo(TaskResult.Status.REJECTED);
            assertThat(awaitEnd("refused").reason().asString()).isEqualTo("not refused");
            TaskResult invalid = awaitEnd("invalid");
            assertThat(invalid.status()).isEqualTo(TaskResult.Status.FAILED);
            assertThat(invalid.retryable()).isFalse();
            assertThat(invalid.reason().asString()).startsWith("task_data is invalid: ");
            assertThat(awaitEnd("unknown").status()).isEqualTo(TaskResult.Status.REJECTED);
            Heartbeat heartbeat = read(topics.heartbeats(), Heartbeat.class).get(0);
            assertThat(heartbeat.registration().capabilities()).containsExactly("add", "hold", "refuse", "who", "gpu");
            assertThat(heartbeat.registration().capacity()).isEqualTo(4);
            HealthIndicator health = application.getBean("agentHealthIndicator", HealthIndicator.class);
            assertThat(health.health().getStatus()).isEqualTo(Status.UP);
            assertThat(health.health().getDetails()).containsEntry("agent_id", "spring-1");
        }
    }

    @Test
    void aStopFinishesWhatIsRunningAndDeregisters() throws InterruptedException {
        ConfigurableApplicationContext application = start();
        assign("held", "{\"task_type\":\"hold\"}");
        assertThat(STARTED.await(90, TimeUnit.SECONDS)).isTrue();
        Thread stop = new Thread(application::close);
        stop.start();
        await().atMost(LONG)
                .until(() -> read(topics.heartbeats(), Heartbeat.class).stream()
                        .anyMatch(heartbeat -> heartbeat.status() == AgentStatus.MAINTENANCE));
        LEAVE.countDown();

        assertThat(awaitEnd("held").result().asString()).isEqualTo("hold");
        await().atMost(LONG)
                .until(() -> read(topics.heartbeats(), Heartbeat.class).stream()
                        .anyMatch(heartbeat -> heartbeat.status() == AgentStatus.INACTIVE));
        await().atMost(LONG).until(() -> !stop.isAlive());
    }

    private final ApplicationContextRunner runner =
            new ApplicationContextRunner().withConfiguration(AutoConfigurations.of(AgentAutoConfiguration.class));

    @Configuration(proxyBeanMethods = false)
    static class Twice {
        @Bean
        Arithmetic one() {
            return new Arithmetic();
        }

        @Bean
        Arithmetic other() {
            return new Arithmetic();
        }
    }

    @Test
    void misconfigurationsEndTheStartWithASentence() {
        runner.withPropertyValues("aitbc.agent.id=x")
                .run(context -> assertThat(context)
                        .getFailure()
                        .rootCause()
                        .hasMessageContaining("no bean has a method with @AgentHandler"));
        runner.withBean(Arithmetic.class)
                .run(context ->
                        assertThat(context).getFailure().rootCause().hasMessageContaining("an agent needs an id"));
        runner.withUserConfiguration(Twice.class)
                .withPropertyValues("aitbc.agent.id=x")
                .run(context -> assertThat(context)
                        .getFailure()
                        .rootCause()
                        .hasMessageContaining("Two methods handle task type"));
    }

    @Test
    void theAgentCanBeDisabled() {
        runner.withPropertyValues("aitbc.agent.enabled=false")
                .run(context -> assertThat(context)
                        .doesNotHaveBean(AgentLifecycle.class)
                        .hasNotFailed());
    }
}

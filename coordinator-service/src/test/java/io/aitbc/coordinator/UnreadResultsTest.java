package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalStack;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Primary;
import tools.jackson.databind.JsonNode;

/** A task reported in time does not run again merely because its result is still unread; an unreported task does. */
class UnreadResultsTest {
    private static final String PREFIX = "unread.";
    private static final String RESULTS = PREFIX + "tasks.results";
    private static final Duration LONG = Duration.ofSeconds(90);

    private static RunningCoordinator coordinator;
    private static volatile Duration ahead = Duration.ZERO;

    static class Beans {
        @Bean
        @Primary
        Clock settable() {
            InstantSource shifted = () -> Instant.now().plus(ahead);
            return shifted.withZone(ZoneOffset.UTC);
        }
    }

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.startWith(
                Beans.class,
                LocalStack.shared(),
                PREFIX,
                10,
                "--aitbc.settle.retry-backoff=50ms",
                "--aitbc.registry.heartbeat-timeout=0s",
                "--aitbc.topics.result-transaction-timeout=1h");
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    @BeforeEach
    void resetTheClock() {
        ahead = Duration.ZERO;
    }

    /** As while the coordinator that owns the partition is paused. */
    @Test
    void aResultInAnUnreadPartitionCounts() {
        try (StalledReader stalled = new StalledReader();
                KafkaProducer<String, String> agent = producer(Map.of())) {
            JsonNode reported = assigned("stalled", "stalled-reported");
            JsonNode silent = assigned("stalled", "stalled-silent");
            agent.send(new ProducerRecord<>(RESULTS, stalled.partition(), "key", completed(reported)));
            agent.flush();

            passDeadlinesOf(silent);

            assertStillFirstAttempt(reported);
            stalled.close();
            assertCompletedAtOnce(reported);
        }
    }

    @Test
    void aResultBehindAnOpenTransactionAndOneWithinItCount() {
        try (KafkaProducer<String, String> hanging =
                        producer(Map.of("transactional.id", UUID.randomUUID().toString()));
                KafkaProducer<String, String> agent = producer(Map.of())) {
            hanging.initTransactions();
            hanging.beginTransaction();
            JsonNode within = assigned("hanging", "hanging-within");
            JsonNode behind = assigned("hanging", "hanging-behind");
            JsonNode silent = assigned("hanging", "hanging-silent");
            hanging.send(new ProducerRecord<>(RESULTS, 0, "key", completed(within)));
            hanging.flush();
            agent.send(new ProducerRecord<>(RESULTS, 0, "key", completed(behind)));
            agent.flush();

            passDeadlinesOf(silent);

            assertStillFirstAttempt(within);
            assertStillFirstAttempt(behind);
            JsonNode health = await().atMost(LONG)
                    .until(
                            () -> coordinator.get("/health").body(),
                            one -> one.at("/topics").has("detail"));
            assertThat(health.path("status").asString("")).isEqualTo("healthy");
            assertThat(health.at("/topics/detail").asString("")).contains("tasks.results-0", "transactional id");
            hanging.commitTransaction();
            assertCompletedAtOnce(within);
            assertCompletedAtOnce(behind);
        }
    }

    /** The hidden results matter more than those in the transaction. */
    @Test
    void aTransactionThatHidesResultsForTooLongIsAborted() {
        try (KafkaProducer<String, String> hanging =
                        producer(Map.of("transactional.id", UUID.randomUUID().toString()));
                KafkaProducer<String, String> agent = producer(Map.of())) {
            hanging.initTransactions();
            hanging.beginTransaction();
            JsonNode behind = assigned("hidden", "hidden-behind");
            hanging.send(new ProducerRecord<>(RESULTS, 0, "key", completed(behind)));
            hanging.flush();
            agent.send(new ProducerRecord<>(RESULTS, 0, "key", completed(behind)));
            agent.flush();
            assertThat(coordinator.awaitTask("hidden-behind", "assigned")).isNotNull();

            ahead = ahead.plus(Duration.ofMinutes(61));

            coordinator.awaitTask("hidden-behind", "completed");
            assertThatThrownBy(hanging::commitTransaction).isInstanceOf(KafkaException.class);
        }
    }

    @Test
    void aResultWhoseTransactionIsAbortedDoesNotCount() {
        try (KafkaProducer<String, String> agent =
                producer(Map.of("transactional.id", UUID.randomUUID().toString()))) {
            agent.initTransactions();
            agent.beginTransaction();
            JsonNode withdrawn = assigned("aborting", "aborting-withdrawn");
            agent.send(new ProducerRecord<>(RESULTS, 0, "key", completed(withdrawn)));
            agent.flush();
            agent.abortTransaction();

            passDeadlinesOf(withdrawn);
        }
    }

    /** A client with a hanging transaction does not make other agents appear silent. */
    @Test
    void aHeartbeatBehindAnOpenTransactionCounts() {
        try (KafkaProducer<String, String> hanging =
                producer(Map.of("transactional.id", UUID.randomUUID().toString()))) {
            hanging.initTransactions();
            hanging.beginTransaction();
            for (int partition = 0; partition < 3; partition++) {
                hanging.send(new ProducerRecord<>(
                        PREFIX + "agents.heartbeat", partition, "nobody", "{\"agent_id\":\"nobody\"}"));
            }
            hanging.flush();

            coordinator.publish("agents.heartbeat", "speaking", """
                    {"agent_id":"speaking","registration":{"agent_id":"speaking","agent_type":"worker"}}
                    """);

            await().atMost(LONG)
                    .until(() -> coordinator
                            .get("/agents/speaking")
                            .body()
                            .at("/agent/status")
                            .asString("")
                            .equals("active"));
            hanging.abortTransaction();
        }
    }

    /** Submits a task with several attempts and returns its first assignment. */
    private static JsonNode assigned(String agentId, String taskId) {
        coordinator.register(agentId, 10);
        coordinator.submit("""
                {"task_id":"%s","task_data":{},"requirements":{"agent_id":"%s"}}
                """.formatted(taskId, agentId));
        return awaitAssignment(agentId, taskId + ":1");
    }

    private static JsonNode awaitAssignment(String agentId, String assignmentId) {
        return await().atMost(LONG)
                .until(
                        () -> coordinator.awaitRecords("assignments." + agentId, 1).stream()
                                .filter(one ->
                                        one.path("assignment_id").asString("").equals(assignmentId))
                                .findFirst()
                                .orElse(Json.object()),
                        found -> !found.isEmpty());
    }

    /** Passes the deadlines. All tasks have the same timeout, so once this one is reassigned, recovery has decided on the others, too. */
    private static void passDeadlinesOf(JsonNode unreported) {
        ahead = ahead.plus(Duration.ofMinutes(20));
        String agentId = unreported.get("agent_id").asString();
        JsonNode again = awaitAssignment(agentId, unreported.get("task_id").asString() + ":2");
        coordinator.report(again, "completed", null);
    }

    private static void assertStillFirstAttempt(JsonNode assignment) {
        JsonNode task = coordinator
                .get("/tasks/" + assignment.get("task_id").asString())
                .body();
        assertThat(task.path("status").asString("")).as("%s", task).isEqualTo("assigned");
        assertThat(task.get("attempt").asInt()).isEqualTo(1);
    }

    private static void assertCompletedAtOnce(JsonNode assignment) {
        String taskId = assignment.get("task_id").asString();
        assertThat(coordinator.awaitTask(taskId, "completed").get("attempt").asInt())
                .isEqualTo(1);
        assertThat(coordinator.awaitRecords(
                        "assignments." + assignment.get("agent_id").asString(), 1))
                .extracting(one -> one.path("assignment_id").asString(""))
                .doesNotContain(taskId + ":2");
    }

    private static String completed(JsonNode assignment) {
        return Json.text(Json.object()
                .put("task_id", assignment.get("task_id").asString())
                .put("attempt", assignment.get("attempt").asInt())
                .put("agent_id", assignment.get("agent_id").asString())
                .put("status", "completed"));
    }

    private static KafkaProducer<String, String> producer(Map<String, Object> extra) {
        Map<String, Object> config = new HashMap<>(extra);
        config.put("bootstrap.servers", LocalStack.shared().bootstrapServers());
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    /** A member of the result consumer group that owns partitions and never reads them. */
    private static final class StalledReader implements AutoCloseable {
        private final KafkaConsumer<String, String> consumer;
        private final Set<TopicPartition> owned = new HashSet<>();

        StalledReader() {
            consumer = new KafkaConsumer<>(
                    Map.of(
                            "bootstrap.servers",
                            LocalStack.shared().bootstrapServers(),
                            "group.id",
                            PREFIX + "agent-coordinator.results",
                            "group.protocol",
                            "consumer",
                            "enable.auto.commit",
                            false),
                    new StringDeserializer(),
                    new StringDeserializer());
            consumer.subscribe(List.of(RESULTS), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    consumer.pause(partitions);
                    owned.addAll(partitions);
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    owned.removeAll(partitions);
                }
            });
            await().atMost(LONG).until(() -> {
                consumer.poll(Duration.ofMillis(100));
                return !owned.isEmpty();
            });
        }

        int partition() {
            return owned.iterator().next().partition();
        }

        @Override
        public void close() {
            consumer.close();
        }
    }
}

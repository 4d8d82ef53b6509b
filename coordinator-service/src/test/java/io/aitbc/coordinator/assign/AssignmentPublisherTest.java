package io.aitbc.coordinator.assign;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.kafka.TopicSettings;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.trace.Traces;
import io.aitbc.localstack.LocalStack;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.junit.jupiter.api.Test;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

class AssignmentPublisherTest {
    private static final int AGENTS = AssignmentPublisher.AGENTS_PER_PRODUCER + 5;
    private static final int EACH = 4;
    private static final Topics TOPICS = new Topics("many-agents.");

    /** More agents than a single producer serves. */
    @Test
    void eachAgentHasAFixedProducerAndItsRecordsInOrder() throws Exception {
        Map<String, Object> servers =
                Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers());
        KafkaClients clients = clients(servers);
        AtomicInteger producers = new AtomicInteger();
        List<String> agentIds =
                IntStream.range(0, AGENTS).mapToObj(i -> "agent-" + i).toList();
        try (Admin admin = Admin.create(servers)) {
            TopicCatalog catalog = catalog(admin);
            catalog.createAgentTopics(agentIds);
            try (AssignmentPublisher topics = new AssignmentPublisher(
                    number -> {
                        producers.incrementAndGet();
                        return clients.producer("many-" + number, Duration.ZERO, Duration.ofMinutes(1), Map.of());
                    },
                    catalog,
                    TOPICS,
                    Signatures.none(),
                    Traces.none())) {
                List<CompletableFuture<Void>> published = new ArrayList<>();
                for (int i = 0; i < EACH; i++) {
                    for (String agentId : agentIds) {
                        published.add(topics.publish(Cancellation.of("task-" + i, 1, agentId, Instant.EPOCH), false));
                    }
                }
                CompletableFuture.allOf(published.toArray(CompletableFuture[]::new))
                        .join();
            }
        }

        assertThat(producers).hasValue(2);
        try (KafkaConsumer<byte[], byte[]> consumer = clients.standaloneConsumer()) {
            for (String agentId : List.of("agent-0", "agent-" + (AGENTS - 1))) {
                assertThat(keys(consumer, agentId)).containsExactly("task-0", "task-1", "task-2", "task-3");
            }
        }
    }

    /** The lane then publishes it again. Kafka's client would retry some batches for as long as it may (KAFKA-15591). */
    @Test
    void anAssignmentThatIsNotDeliveredFails() throws Exception {
        try (LocalStack stack = LocalStack.start()) {
            Map<String, Object> servers = Map.of("bootstrap.servers", stack.bootstrapServers());
            try (Admin admin = Admin.create(servers);
                    AssignmentPublisher topics = new AssignConfiguration()
                            .assignmentPublisher(
                                    clients(servers), catalog(admin), TOPICS, Signatures.none(), Traces.none())) {
                topics.publish(Cancellation.of("delivered", 1, "agent", Instant.EPOCH), false)
                        .join();

                stack.stopKafka();

                assertThat(topics.publish(Cancellation.of("lost", 1, "agent", Instant.EPOCH), false))
                        .failsWithin(Duration.ofMinutes(2))
                        .withThrowableOfType(ExecutionException.class)
                        .withCauseInstanceOf(TimeoutException.class);
            }
        }
    }

    private static KafkaClients clients(Map<String, Object> servers) {
        return new KafkaClients(
                new DefaultKafkaConsumerFactory<>(servers),
                new DefaultKafkaProducerFactory<>(servers),
                new CoordinatorId("test"),
                new SimpleMeterRegistry());
    }

    private static TopicCatalog catalog(Admin admin) {
        return new TopicCatalog(
                admin,
                TOPICS,
                new TopicSettings(
                        "",
                        1,
                        (short) 0,
                        Duration.ofDays(7),
                        Duration.ofDays(7),
                        Duration.ofMinutes(1),
                        Duration.ofDays(1)),
                true);
    }

    private static List<String> keys(KafkaConsumer<byte[], byte[]> consumer, String agentId) {
        TopicPartition partition = new TopicPartition(TOPICS.assignments(agentId), 0);
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        List<String> keys = new ArrayList<>();
        while (keys.size() < EACH) {
            consumer.poll(Duration.ofSeconds(1)).forEach(record -> keys.add(new String(record.key())));
        }
        return keys;
    }
}

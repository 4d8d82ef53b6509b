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
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

/** More agents than a single producer serves. */
class AssignmentPublisherTest {
    private static final int AGENTS = AssignmentPublisher.AGENTS_PER_PRODUCER + 5;
    private static final int EACH = 4;
    private static final Topics TOPICS = new Topics("many-agents.");

    @Test
    void eachAgentHasAFixedProducerAndItsRecordsInOrder() throws Exception {
        Map<String, Object> servers =
                Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers());
        KafkaClients clients = new KafkaClients(
                new DefaultKafkaConsumerFactory<>(servers),
                new DefaultKafkaProducerFactory<>(servers),
                new CoordinatorId("test"),
                new SimpleMeterRegistry());
        AtomicInteger producers = new AtomicInteger();
        List<String> agentIds =
                IntStream.range(0, AGENTS).mapToObj(i -> "agent-" + i).toList();
        try (Admin admin = Admin.create(servers)) {
            TopicCatalog catalog = new TopicCatalog(
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

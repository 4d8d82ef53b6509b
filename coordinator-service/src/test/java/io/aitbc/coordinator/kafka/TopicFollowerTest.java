package io.aitbc.coordinator.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.Test;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

class TopicFollowerTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    /** What they have written to the new topic is newer than what this coordinator knows. */
    @Test
    void inARecreatedTopicTheRecordsOfOthersAreReadFirst() throws Exception {
        Map<String, Object> servers =
                Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers());
        KafkaClients clients = new KafkaClients(
                new DefaultKafkaConsumerFactory<>(servers),
                new DefaultKafkaProducerFactory<>(servers),
                new CoordinatorId("test"),
                new SimpleMeterRegistry());
        Topics topics = new Topics("followed.");
        Duration hour = Duration.ofHours(1);
        Queue<String> read = new ConcurrentLinkedQueue<>();
        Queue<Set<String>> present = new ConcurrentLinkedQueue<>();
        try (Admin admin = Admin.create(servers);
                Producer<String, byte[]> producer = clients.producer("test", Duration.ZERO, hour, Map.of())) {
            // Not started: it notices a new topic when the test asks it to.
            SharedTopics shared = new SharedTopics(
                    admin,
                    new TopicCatalog(
                            admin,
                            topics,
                            new TopicSettings(topics.prefix(), 1, (short) 1, hour, hour, hour, hour),
                            true));
            shared.create();
            producer.send(new ProducerRecord<>(topics.keys(), "old", new byte[0]))
                    .get();
            try (TopicFollower follower = new TopicFollower(
                    clients,
                    shared,
                    topics.keys(),
                    "follower",
                    record -> read.add(new String(record.key(), StandardCharsets.UTF_8)),
                    present::add,
                    Clock.systemUTC())) {
                follower.start();
                assertThat(read).containsExactly("old");
                assertThat(present).isEmpty();

                Uuid before = shared.id(topics.keys());
                admin.deleteTopics(List.of(topics.keys())).all().get();
                await().atMost(LONG)
                        .ignoreExceptions()
                        .untilAsserted(() -> admin.createTopics(
                                        List.of(new NewTopic(topics.keys(), Optional.of(1), Optional.of((short) 1))))
                                .all()
                                .get());
                producer.send(new ProducerRecord<>(topics.keys(), "new", new byte[0]))
                        .get();
                await().atMost(LONG).until(() -> {
                    shared.create();
                    return !before.equals(shared.id(topics.keys()));
                });

                await().atMost(LONG).until(() -> !present.isEmpty());
                assertThat(present).containsExactly(Set.of("new"));
                // Also twice: the earlier consumer may have read it.
                assertThat(read).startsWith("old", "new");
            }
        }
    }
}

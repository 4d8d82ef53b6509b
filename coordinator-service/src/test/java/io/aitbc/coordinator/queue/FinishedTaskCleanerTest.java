package io.aitbc.coordinator.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;

class FinishedTaskCleanerTest {
    private static final String GROUP = "done.group";

    private final Topics topics = new Topics("done.");
    private final TopicPartition partition = new TopicPartition("done.tasks.low", 0);
    private final Map<String, Object> servers =
            Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers());

    /** Records 0 to 3 are old, 4 and 5 are not; all below the commit are done. */
    @Test
    void oldFinishedRecordsAreDeleted() throws Exception {
        Instant now = Instant.now();
        try (Admin admin = Admin.create(servers);
                KafkaProducer<String, String> producer =
                        new KafkaProducer<>(new HashMap<>(servers), new StringSerializer(), new StringSerializer())) {
            admin.createTopics(topics.tasks().stream()
                            .map(name -> new NewTopic(name, Optional.of(1), Optional.empty()))
                            .toList())
                    .all()
                    .get();
            for (int i = 0; i < 6; i++) {
                Instant at = i < 4 ? now.minus(Duration.ofDays(8)) : now;
                producer.send(new ProducerRecord<>(partition.topic(), 0, at.toEpochMilli(), "k", "v"))
                        .get();
            }
            FinishedTaskCleaner done = new FinishedTaskCleaner(
                    admin,
                    new QueueSizes(
                            admin, topics, GROUP, new LedgerTopic(null, null, null, topics, "test", Clock.systemUTC())),
                    Duration.ofDays(7),
                    Clock.systemUTC());

            done.deleteBefore(now.minus(Duration.ofDays(7)));
            assertThat(start(admin)).as("nothing is committed").isZero();

            commit(admin, 2);
            done.deleteBefore(now.minus(Duration.ofDays(7)));
            assertThat(start(admin)).as("what is done").isEqualTo(2);

            commit(admin, 6);
            done.deleteBefore(now.minus(Duration.ofDays(7)));
            assertThat(start(admin)).as("what is old").isEqualTo(4);
        }
    }

    private void commit(Admin admin, long offset) throws Exception {
        admin.alterConsumerGroupOffsets(GROUP, Map.of(partition, new OffsetAndMetadata(offset)))
                .all()
                .get();
    }

    private long start(Admin admin) throws Exception {
        return admin.listOffsets(Map.of(partition, OffsetSpec.earliest()))
                .partitionResult(partition)
                .get()
                .offset();
    }
}

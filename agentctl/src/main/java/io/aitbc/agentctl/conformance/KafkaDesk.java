package io.aitbc.agentctl.conformance;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The topics of an agent over Kafka. */
final class KafkaDesk implements Link {
    private static final byte[] NOTHING = new byte[0];

    private final String agentId;
    private final Topics topics;
    private final Journal journal;
    private final Admin admin;
    private final KafkaProducer<String, String> producer;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Thread thread = new Thread(this::read, "conformance-kafka");
    /** By assignment id: the offset of its first record. */
    private final Map<String, Long> offsets = new ConcurrentHashMap<>();

    /** @param config of its clients */
    KafkaDesk(Map<String, Object> config, String topicPrefix, String agentId, Journal journal)
            throws ExecutionException, InterruptedException {
        this.agentId = agentId;
        this.topics = new Topics(topicPrefix);
        this.journal = journal;
        admin = Admin.create(config);
        for (String topic : List.of(topics.heartbeats(), topics.results(), topics.assignments(agentId))) {
            create(topic);
        }
        producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
        consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        Set<TopicPartition> partitions =
                Set.of(new TopicPartition(topics.heartbeats(), 0), new TopicPartition(topics.results(), 0));
        consumer.assign(partitions);
        consumer.seekToEnd(partitions);
        partitions.forEach(consumer::position);
        thread.setDaemon(true);
        thread.start();
    }

    private void create(String topic) throws ExecutionException, InterruptedException {
        try {
            admin.createTopics(List.of(new NewTopic(topic, Optional.of(1), Optional.empty())))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof TopicExistsException)) {
                throw e;
            }
        }
    }

    private void read() {
        try (consumer) {
            while (true) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    take(record);
                }
            }
        } catch (WakeupException e) {
            // Closed.
        }
    }

    private void take(ConsumerRecord<byte[], byte[]> record) {
        JsonNode message;
        try {
            message = Json.MAPPER.readTree(record.value() == null ? NOTHING : record.value());
        } catch (RuntimeException e) {
            return;
        }
        if (record.topic().equals(topics.results())) {
            takeResult(message);
            return;
        }
        if (!message.path("agent_id").asString("").equals(agentId)) {
            return;
        }
        boolean isOver = message.path("status").asString("").equals("inactive");
        if (isOver) {
            journal.left();
        } else if (message.path("registration") instanceof ObjectNode registration) {
            journal.registered(registration);
        } else {
            journal.alive();
        }
    }

    private void takeResult(JsonNode message) {
        // Other agents may be checked over the same topics.
        if (!journal.isGiven(message.path("task_id").asString(""))) {
            return;
        }
        try {
            journal.reported(message);
        } catch (Journal.RefusedException e) {
            if (e.isViolation()) {
                journal.violated("coordinators do not accept its result: " + e.getMessage());
            }
        }
    }

    private void send(String key, String value) {
        producer.send(new ProducerRecord<>(topics.assignments(agentId), key, value), (metadata, failure) -> {
            if (failure == null && !key.isEmpty()) {
                offsets.putIfAbsent(key, metadata.offset());
            }
        });
        producer.flush();
    }

    @Override
    public void give(ObjectNode assignment) {
        journal.given(assignment.get("task_id").asString());
        // It is not known when the agent reads it.
        journal.delivered(assignment.get("task_id").asString());
        send(assignment.get("assignment_id").asString(), assignment.toString());
    }

    @Override
    public void cancel(ObjectNode cancellation) {
        journal.cancelled(cancellation.get("task_id").asString());
        send("", cancellation.toString());
    }

    @Override
    public void giveUnknownMessage() {
        send(
                "",
                Json.object()
                        .put("type", "from_a_later_version")
                        .put("assignment_id", "later:1")
                        .put("task_id", "later")
                        .toString());
    }

    @Override
    public boolean giveGarbage() {
        send("", "{\"no\": assignment");
        return true;
    }

    @Override
    public boolean isCommitted(String assignmentId) {
        try {
            return admin
                    .listConsumerGroupOffsets(topics.agentGroup(agentId))
                    .partitionsToOffsetAndMetadata()
                    .get()
                    .values()
                    .stream()
                    .mapToLong(OffsetAndMetadata::offset)
                    .anyMatch(offset -> offset > offsets.getOrDefault(assignmentId, Long.MAX_VALUE));
        } catch (ExecutionException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    @Override
    public @Nullable String silence(Duration timeout) {
        return null;
    }

    @Override
    public void close() {
        consumer.wakeup();
        producer.close(Duration.ofSeconds(1));
        admin.close(Duration.ofSeconds(1));
    }
}

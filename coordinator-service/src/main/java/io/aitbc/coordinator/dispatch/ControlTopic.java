package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicFollower;
import java.time.Clock;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Messages between coordinators. Every coordinator reads the whole topic from the beginning at startup, so that it knows earlier decisions.
 * The thread {@code control} passes the messages on.
 */
final class ControlTopic implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ControlTopic.class);

    private final Producer<String, byte[]> producer;
    private final Topics topics;
    private final Consumer<ControlMessage> listener;
    private final TopicFollower follower;

    /** @param onNewTopic called when the topic has been re-created and no longer holds earlier decisions, all of which were read */
    ControlTopic(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            Consumer<ControlMessage> listener,
            Runnable onNewTopic,
            Clock clock) {
        this.producer = producer;
        this.topics = topics;
        this.listener = listener;
        this.follower = new TopicFollower(
                clients, shared, topics.control(), "control", this::passOn, keys -> onNewTopic.run(), clock);
    }

    /** Returns once all earlier messages have been passed on. */
    void start() throws InterruptedException {
        follower.start();
    }

    boolean isMissing() {
        return follower.isMissing();
    }

    /** Fails if Kafka does not accept it in time. */
    CompletableFuture<Void> send(ControlMessage message) {
        return KafkaClients.send(producer, new ProducerRecord<>(topics.control(), message.key(), Json.bytes(message)))
                .whenComplete((done, failure) -> {
                    if (failure != null) {
                        log.atWarn()
                                .addKeyValue("key", message.key())
                                .log("Control message not sent: {}", failure.toString());
                    }
                });
    }

    @Override
    public void close() {
        follower.close();
    }

    List<String> problems() {
        return follower.problems();
    }

    void handle(ConsumerRecords<byte[], byte[]> records) {
        follower.handle(records);
    }

    private void passOn(ConsumerRecord<byte[], byte[]> record) {
        listener.accept(Json.read(record.value() == null ? new byte[0] : record.value(), ControlMessage.class));
    }
}

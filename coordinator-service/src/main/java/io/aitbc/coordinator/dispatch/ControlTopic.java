package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicFollower;
import java.time.Clock;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Messages between coordinators. Every coordinator reads the whole topic from the beginning at startup, so that it knows earlier decisions.
 * The thread {@code control} passes the messages on.
 */
final class ControlTopic implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ControlTopic.class);

    /** Receives messages in their order. */
    interface Listener {
        /** @param offset in the topic */
        void received(ControlMessage message, long offset);
    }

    private final Producer<String, byte[]> producer;
    private final Topics topics;
    private final Listener listener;
    private final SharedTopics shared;
    private final TopicFollower follower;

    /** @param onCaughtUp called once all messages that were there at startup have been passed on */
    void whenCaughtUp(Runnable onCaughtUp) {
        follower.whenCaughtUp(onCaughtUp);
    }

    /** @param onNewTopic called when the topic has been re-created and no longer holds earlier decisions, all of which were read */
    ControlTopic(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            Listener listener,
            Runnable onNewTopic,
            Clock clock) {
        this.producer = producer;
        this.topics = topics;
        this.listener = listener;
        this.shared = shared;
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

    /** The id of the topic that messages are from. */
    String idOfMessages() {
        return Objects.requireNonNull(follower.topicId());
    }

    /** The id of the topic whose earlier messages have been passed on; null if they have not, or if it has been re-created. */
    @Nullable
    String id() {
        Uuid current = shared.id(topics.control());
        String read = follower.topicId();
        return follower.isCaughtUp() && current != null && current.toString().equals(read) ? read : null;
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

    List<Problem> problems() {
        return follower.problems();
    }

    void handle(ConsumerRecords<byte[], byte[]> records) {
        follower.handle(records);
    }

    private void passOn(ConsumerRecord<byte[], byte[]> record) {
        listener.received(
                Json.read(record.value() == null ? new byte[0] : record.value(), ControlMessage.class),
                record.offset());
    }
}

package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import java.time.Clock;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
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

    private static final long CATCH_UP_SECONDS = 30;

    private final Producer<String, byte[]> producer;
    private final Topics topics;
    private final Consumer<ControlMessage> listener;
    private final Runnable onNewTopic;
    private final Clock clock;
    private final SharedTopics shared;
    private final ConsumerLoop loop;
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    /** The offset of the last message at startup; used by the control thread only. */
    private long newest;

    private @Nullable Uuid topicId;

    private final ThrottledWarning ignored = new ThrottledWarning(log, "{} control messages ignored: {}");

    /** @param onNewTopic called when the topic has been re-created and no longer holds earlier decisions, all of which were read */
    ControlTopic(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            Consumer<ControlMessage> listener,
            Runnable onNewTopic,
            Clock clock) {
        this.shared = shared;
        this.producer = producer;
        this.topics = topics;
        this.listener = listener;
        this.clock = clock;
        this.onNewTopic = onNewTopic;
        this.loop = new ConsumerLoop(
                "control",
                new ConsumerLoop.Source(
                        () -> shared.id(topics.control()),
                        () -> clients.standaloneConsumer(),
                        (consumer, gained) -> begin(consumer, shared.id(topics.control()))),
                this::handle,
                false,
                () -> {});
    }

    /** Returns once all earlier messages have been passed on. */
    void start() throws InterruptedException {
        loop.start();
        if (!caughtUp.await(CATCH_UP_SECONDS, TimeUnit.SECONDS)) {
            log.warn("Earlier decisions have not been read yet; they apply once they are read");
        }
    }

    boolean isMissing() {
        return shared.id(topics.control()) == null;
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
        caughtUp.countDown();
        loop.close();
    }

    List<String> problems() {
        return loop.problems();
    }

    private void begin(org.apache.kafka.clients.consumer.Consumer<byte[], byte[]> consumer, @Nullable Uuid id) {
        TopicPartition partition = new TopicPartition(topics.control(), 0);
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        if (topicId != null && id != null && !id.equals(topicId) && caughtUp.getCount() == 0) {
            onNewTopic.run();
        }
        newest = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L) - 1;
        if (newest < 0) {
            caughtUp.countDown();
        }
        topicId = id == null ? topicId : id;
    }

    void handle(ConsumerRecords<byte[], byte[]> records) {
        for (ConsumerRecord<byte[], byte[]> record : records) {
            try {
                listener.accept(Json.read(record.value() == null ? new byte[0] : record.value(), ControlMessage.class));
            } catch (RuntimeException e) {
                // Possibly from a newer version, such as an unknown strategy: later messages must be read all the same.
                ignored.add("@" + record.offset() + " (" + Json.sentence(String.valueOf(e.getMessage())) + ")");
            }
            if (record.offset() >= newest) {
                caughtUp.countDown();
            }
        }
        // The last offset may be a transaction marker, which yields no record.
        if (records.nextOffsets().values().stream().anyMatch(next -> next.offset() > newest)) {
            caughtUp.countDown();
        }
        ignored.flush(clock.instant());
    }
}

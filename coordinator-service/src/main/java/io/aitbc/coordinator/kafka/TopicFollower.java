package io.aitbc.coordinator.kafka;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.ThrottledWarning;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads a shared topic with one partition from the beginning at startup, and then whatever is appended, so that every coordinator knows
 * all of its records. A thread of its own passes them on.
 */
public final class TopicFollower implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(TopicFollower.class);

    private static final long CATCH_UP_SECONDS = 30;

    private final String topic;
    private final SharedTopics shared;
    private final Consumer<ConsumerRecord<byte[], byte[]>> listener;
    private final Consumer<Set<String>> onNewTopic;
    private final Clock clock;
    private final ConsumerLoop loop;
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    private Runnable onCaughtUp = () -> {};
    /** The offset of the last record at startup; used by the thread only. */
    private long newest;

    /** Where a new consumer continues: read from the beginning again, deleted records would come back for a while. */
    private long next;

    private volatile @Nullable Uuid topicId;
    /** Keys in a re-created topic, until its first records have been read. */
    private @Nullable Set<String> keysInNewTopic;

    private final ThrottledWarning ignored;

    /**
     * @param thread name of the thread
     * @param listener may throw: the record is then ignored, with a warning
     * @param onNewTopic called when the topic has been re-created and no longer holds earlier records, all of which were read; with the keys
     *     of the records that other coordinators have written to the new one
     */
    public TopicFollower(
            KafkaClients clients,
            SharedTopics shared,
            String topic,
            String thread,
            Consumer<ConsumerRecord<byte[], byte[]>> listener,
            Consumer<Set<String>> onNewTopic,
            Clock clock) {
        this.shared = shared;
        this.topic = topic;
        this.listener = listener;
        this.onNewTopic = onNewTopic;
        this.clock = clock;
        this.ignored = new ThrottledWarning(log, "{} records of " + topic + " ignored: {}");
        this.loop = new ConsumerLoop(
                thread,
                new ConsumerLoop.Source(
                        () -> shared.id(topic),
                        () -> clients.standaloneConsumer(),
                        (consumer, gained) -> begin(consumer, shared.id(topic))),
                this::handle);
    }

    /** Returns once all earlier records have been passed on. */
    public void start() throws InterruptedException {
        loop.start();
        if (!caughtUp.await(CATCH_UP_SECONDS, TimeUnit.SECONDS)) {
            log.atWarn()
                    .addKeyValue("topic", topic)
                    .log("Earlier records have not been read yet; they apply once they are read");
        }
    }

    /** Returns once all records that were there at startup have been passed on, however long that takes, or if it is closed. */
    public void awaitCaughtUp() throws InterruptedException {
        caughtUp.await();
    }

    /** Whether all records that were there at startup have been passed on. */
    public boolean isCaughtUp() {
        return caughtUp.getCount() == 0;
    }

    /** The id of the topic that is read; null until it has been found. */
    public @Nullable String topicId() {
        Uuid id = topicId;
        return id == null ? null : id.toString();
    }

    public boolean isMissing() {
        return shared.id(topic) == null;
    }

    @Override
    public void close() {
        caughtUp.countDown();
        loop.close();
    }

    public List<Problem> problems() {
        return loop.problems();
    }

    private void begin(org.apache.kafka.clients.consumer.Consumer<byte[], byte[]> consumer, @Nullable Uuid id) {
        TopicPartition partition = new TopicPartition(topic, 0);
        consumer.assign(List.of(partition));
        if (topicId != null && id != null && !id.equals(topicId)) {
            next = 0;
            keysInNewTopic = isCaughtUp() ? new HashSet<>() : null;
        }
        topicId = id == null ? topicId : id;
        if (next == 0) {
            consumer.seekToBeginning(List.of(partition));
        } else {
            consumer.seek(partition, next);
        }
        newest = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L) - 1;
        if (newest < next) {
            reachedEnd();
        }
    }

    /** Sets what is called, by the thread that passes records on, once all records that were there at startup have been passed on. Call before {@link #start}. */
    public void whenCaughtUp(Runnable action) {
        onCaughtUp = action;
    }

    private void reachedEnd() {
        if (!isCaughtUp()) {
            onCaughtUp.run();
        }
        caughtUp.countDown();
        if (keysInNewTopic != null) {
            onNewTopic.accept(keysInNewTopic);
            keysInNewTopic = null;
        }
    }

    /** Passes on a batch of records. */
    public void handle(ConsumerRecords<byte[], byte[]> records) {
        for (ConsumerRecord<byte[], byte[]> record : records) {
            try {
                listener.accept(record);
            } catch (RuntimeException e) {
                // Possibly from a newer version: later records must be read all the same.
                ignored.add("@" + record.offset() + " (" + Json.sentence(String.valueOf(e.getMessage())) + ")");
            }
            if (keysInNewTopic != null && record.key() != null) {
                keysInNewTopic.add(new String(record.key(), StandardCharsets.UTF_8));
            }
            if (record.offset() >= newest) {
                reachedEnd();
            }
        }
        for (OffsetAndMetadata position : records.nextOffsets().values()) {
            next = position.offset();
            // The last offset may be a transaction marker, which yields no record.
            if (next > newest) {
                reachedEnd();
            }
        }
        ignored.flush(clock.instant());
    }
}

package io.aitbc.coordinator.security;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicFollower;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.security.authentication.AuthenticationServiceException;

/**
 * The compacted topic {@code coordinator.keys}, which every coordinator reads, so that keys and roles outlive Redis. A record's key is the
 * id of an API key, or a kind and an id separated by a colon. Thread-safe.
 */
final class SecurityTopic {
    private static final Logger log = LoggerFactory.getLogger(SecurityTopic.class);
    private static final long WAIT_SECONDS = 10;

    private final Producer<String, byte[]> producer;
    private final String topic;
    private final TopicFollower follower;
    private final Map<String, Reader> readers = new ConcurrentHashMap<>();
    /** The newest record of each key. */
    private final Map<String, byte[]> records = new ConcurrentHashMap<>();
    /** Callers of {@link #put} wait for it; guarded by this. */
    private long readUpTo;

    /** Gets the records of one kind, in order. */
    interface Reader {
        /** @param value null if the record was deleted */
        void read(String id, byte @Nullable [] value);
    }

    /** See {@link #put}. */
    interface Writer {
        void put(String key, byte @Nullable [] value) throws InterruptedException;
    }

    SecurityTopic(
            KafkaClients clients, SharedTopics shared, Producer<String, byte[]> producer, Topics topics, Clock clock) {
        this.producer = producer;
        this.topic = topics.keys();
        this.follower = new TopicFollower(clients, shared, topic, "keys", this::apply, this::publishAgain, clock);
    }

    /**
     * Call it before the start.
     *
     * @param kind what the keys of these records begin with: empty, or a word and a colon
     */
    void onRecord(String kind, Reader reader) {
        readers.put(kind, reader);
    }

    /** Returns once all records have been read, or after a while: they apply once they are read. */
    void start() throws InterruptedException {
        follower.start();
    }

    void close() {
        follower.close();
    }

    List<Problem> problems() {
        return follower.problems();
    }

    /** Returns once all records have been read that were there at the start, however long that takes. */
    void awaitLoaded() throws InterruptedException {
        follower.awaitCaughtUp();
    }

    /** Whether all records have been read that were there at the start. */
    boolean isLoaded() {
        return follower.isCaughtUp();
    }

    /** The error of a call that needs all records, before they have been read. */
    static AuthenticationServiceException notLoaded() {
        return new AuthenticationServiceException("keys and roles are being read from Kafka: try again");
    }

    /**
     * Writes a record, and returns once this coordinator has read it.
     *
     * @param value null deletes it
     * @throws KafkaException if Kafka does not accept it
     */
    void put(String key, byte @Nullable [] value) throws InterruptedException {
        try {
            awaitRead(KafkaClients.append(producer, new ProducerRecord<>(topic, key, value))
                    .get(WAIT_SECONDS, TimeUnit.SECONDS)
                    .offset());
        } catch (ExecutionException e) {
            throw new KafkaException("the change was not accepted: " + KafkaClients.reason(e), e.getCause());
        } catch (TimeoutException e) {
            throw new KafkaException("the change was not accepted within " + WAIT_SECONDS + " s", e);
        }
    }

    private synchronized void awaitRead(long offset) throws InterruptedException, TimeoutException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (readUpTo <= offset) {
            long leftMs = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
            if (leftMs <= 0) {
                throw new TimeoutException();
            }
            wait(leftMs);
        }
    }

    private synchronized void read(long offset) {
        readUpTo = offset + 1;
        notifyAll();
    }

    /** Writes a record without waiting. A failure is logged. */
    void putLater(String key, byte @Nullable [] value) {
        KafkaClients.send(producer, new ProducerRecord<>(topic, key, value)).whenComplete((done, failure) -> {
            if (failure != null) {
                log.atWarn().addKeyValue("record", key).log("Not written to {}: {}", topic, failure.toString());
            }
        });
    }

    private void apply(ConsumerRecord<byte[], byte[]> record) {
        String key = new String(record.key(), StandardCharsets.UTF_8);
        int end = key.indexOf(':') + 1;
        try {
            Reader reader = readers.get(key.substring(0, end));
            if (reader != null) {
                reader.read(key.substring(end), record.value());
            }
            if (record.value() == null) {
                records.remove(key);
            } else {
                records.put(key, record.value());
            }
        } finally {
            read(record.offset());
        }
    }

    /** @param present keys of records in the re-created topic: those are newer */
    private void publishAgain(Set<String> present) {
        if (present.isEmpty()) {
            read(-1);
        }
        records.forEach((key, value) -> {
            if (!present.contains(key)) {
                putLater(key, value);
            }
        });
    }
}

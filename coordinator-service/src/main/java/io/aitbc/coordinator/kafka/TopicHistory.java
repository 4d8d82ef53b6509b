package io.aitbc.coordinator.kafka;

import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;

/** Re-reads topics up to their current end. Owned by one thread. */
public final class TopicHistory implements AutoCloseable {
    private static final Duration PROGRESS_TIMEOUT = Duration.ofSeconds(20);
    private static final Duration POLL = Duration.ofMillis(500);

    private final KafkaConsumer<byte[], byte[]> consumer;

    /** A history that includes records of open and aborted transactions. */
    public TopicHistory(KafkaClients clients) {
        this(clients, IsolationLevel.READ_UNCOMMITTED);
    }

    /** @param isolation READ_COMMITTED ends at the last stable offset, before the first transaction that is still open */
    public TopicHistory(KafkaClients clients, IsolationLevel isolation) {
        this.consumer = clients.rangeConsumer(isolation);
    }

    /** The partitions of a topic; empty if it does not exist. */
    public Set<TopicPartition> partitions(String topic) {
        return consumer.partitionsFor(topic, PROGRESS_TIMEOUT).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition()))
                .collect(Collectors.toSet());
    }

    /** Partition → its first offset at or after a time. Partitions without such a record are absent. */
    public Map<TopicPartition, Long> since(Set<TopicPartition> partitions, Instant time) {
        Map<TopicPartition, Long> times = new HashMap<>();
        partitions.forEach(partition -> times.put(partition, Math.max(0, time.toEpochMilli())));
        Map<TopicPartition, Long> starts = new HashMap<>();
        // Kafka's client warns about each queried partition that is not assigned.
        consumer.assign(partitions);
        for (Map.Entry<TopicPartition, OffsetAndTimestamp> found :
                consumer.offsetsForTimes(times, PROGRESS_TIMEOUT).entrySet()) {
            if (found.getValue() != null) {
                starts.put(found.getKey(), found.getValue().offset());
            }
        }
        return starts;
    }

    /**
     * Passes on all records from the given offsets to the current end.
     *
     * @throws TimeoutException if Kafka stops answering
     */
    public void read(Map<TopicPartition, Long> starts, Consumer<ConsumerRecord<byte[], byte[]>> each) {
        readWhile(starts, record -> {
            each.accept(record);
            return true;
        });
    }

    /**
     * Passes on records from the given offsets to the current end, until the visitor returns false.
     *
     * @param visitor returns whether to continue
     * @throws TimeoutException if Kafka stops answering, or a topic has been deleted
     */
    public void readWhile(Map<TopicPartition, Long> starts, Predicate<ConsumerRecord<byte[], byte[]>> visitor) {
        consumer.assign(starts.keySet());
        Map<TopicPartition, Long> unread = new HashMap<>(consumer.endOffsets(starts.keySet(), PROGRESS_TIMEOUT));
        starts.forEach(consumer::seek);
        unread.entrySet().removeIf(end -> starts.getOrDefault(end.getKey(), 0L) >= end.getValue());
        long lastProgress = System.nanoTime();
        boolean more = true;
        while (more && !unread.isEmpty()) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
            Iterator<ConsumerRecord<byte[], byte[]>> iterator = records.iterator();
            while (more && iterator.hasNext()) {
                more = visitor.test(iterator.next());
            }
            boolean moved = unread.entrySet()
                    .removeIf(end -> consumer.position(end.getKey(), PROGRESS_TIMEOUT) >= end.getValue());
            if (moved || !records.isEmpty()) {
                lastProgress = System.nanoTime();
            } else if (System.nanoTime() - lastProgress > PROGRESS_TIMEOUT.toNanos()) {
                throw new TimeoutException(
                        "no progress reading " + unread.keySet() + " for " + PROGRESS_TIMEOUT.toSeconds() + " s");
            }
        }
        consumer.assign(List.of());
    }

    @Override
    public void close() {
        consumer.close();
    }
}

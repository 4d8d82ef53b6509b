package io.aitbc.coordinator.kafka;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * Reads ranges of partitions once, on behalf of a waiting caller. Skips records of aborted transactions. Also reads records beyond the last
 * stable offset: they were accepted, and a hanging transaction must not hide them. Owned by one thread.
 */
public final class RangeReader implements AutoCloseable {
    private static final Duration POLL = Duration.ofMillis(200);

    private final KafkaClients clients;
    private @Nullable KafkaConsumer<byte[], byte[]> committed;
    private @Nullable KafkaConsumer<byte[], byte[]> all;

    public RangeReader(KafkaClients clients) {
        this.clients = clients;
    }

    /**
     * The offsets of a partition to read.
     *
     * @param start the first offset
     * @param stable the last stable offset; records beyond it may belong to an open transaction
     * @param end the offset after the last record
     */
    public record Range(long start, long stable, long end) {}

    /** The full current range of each partition. */
    public Map<TopicPartition, Range> fullRanges(Set<TopicPartition> partitions) {
        // Kafka's client warns about each queried partition that is not assigned.
        all().assign(partitions);
        committed().assign(partitions);
        Map<TopicPartition, Long> starts = all().beginningOffsets(partitions);
        Map<TopicPartition, Long> stable = committed().endOffsets(partitions);
        Map<TopicPartition, Long> ends = all().endOffsets(partitions);
        Map<TopicPartition, Range> ranges = new HashMap<>();
        ends.forEach((partition, end) -> ranges.put(
                partition,
                new Range(
                        starts.getOrDefault(partition, 0L), Math.min(end, stable.getOrDefault(partition, end)), end)));
        return ranges;
    }

    /**
     * Reads until all ranges have been read or the timeout expires.
     *
     * @param visitor returns for each record whether to continue with its partition
     */
    public void read(
            Map<TopicPartition, Range> ranges,
            Duration limit,
            BiPredicate<TopicPartition, ConsumerRecord<byte[], byte[]>> visitor) {
        long until = System.nanoTime() + limit.toNanos();
        Map<TopicPartition, Range> readable = new HashMap<>();
        Map<TopicPartition, Range> heldBack = new HashMap<>();
        ranges.forEach((partition, range) -> {
            long stableEnd = Math.max(range.start(), Math.min(range.stable(), range.end()));
            if (range.start() < stableEnd) {
                readable.put(partition, new Range(range.start(), stableEnd, stableEnd));
            }
            if (stableEnd < range.end()) {
                heldBack.put(partition, new Range(stableEnd, stableEnd, range.end()));
            }
        });
        if (!readable.isEmpty()) {
            Set<TopicPartition> stopped = read(committed(), readable, until, visitor);
            heldBack.keySet().removeAll(stopped);
        }
        if (!heldBack.isEmpty()) {
            read(all(), heldBack, until, visitor);
        }
    }

    /**
     * Passes on records of a partition, newest first, until the timeout expires.
     *
     * @param before the offset that the newest must be below; {@link Long#MAX_VALUE} for the newest of all
     * @param chunk how many offsets to read at a time
     * @param wantsMore returns whether to continue with older records
     * @return false if the time was over before all were read, or enough
     */
    public boolean readBackwards(
            TopicPartition partition,
            long before,
            int chunk,
            Duration limit,
            Predicate<ConsumerRecord<byte[], byte[]>> wantsMore) {
        long until = System.nanoTime() + limit.toNanos();
        Range whole = fullRanges(Set.of(partition)).get(partition);
        if (whole == null) {
            return true;
        }
        long end = Math.min(before, whole.end());
        while (end > whole.start() && System.nanoTime() - until < 0) {
            long start = Math.max(whole.start(), end - chunk);
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            read(Map.of(partition, new Range(start, whole.stable(), end)), limit, (of, record) -> records.add(record));
            Collections.reverse(records);
            for (ConsumerRecord<byte[], byte[]> record : records) {
                if (!wantsMore.test(record)) {
                    return true;
                }
            }
            if (System.nanoTime() - until >= 0) {
                // Some of this chunk may be missing.
                return false;
            }
            end = start;
        }
        return end <= whole.start();
    }

    /** @return the partitions that the visitor does not want to continue */
    private static Set<TopicPartition> read(
            KafkaConsumer<byte[], byte[]> consumer,
            Map<TopicPartition, Range> ranges,
            long until,
            BiPredicate<TopicPartition, ConsumerRecord<byte[], byte[]>> visitor) {
        Set<TopicPartition> remaining = new HashSet<>(ranges.keySet());
        Set<TopicPartition> stopped = new HashSet<>();
        consumer.assign(remaining);
        // Partitions read earlier are still paused: assigning the same set does not change that.
        consumer.resume(remaining);
        ranges.forEach((partition, range) -> consumer.seek(partition, range.start()));
        while (!remaining.isEmpty() && System.nanoTime() - until < 0) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                if (remaining.contains(partition)
                        && record.offset()
                                < Objects.requireNonNull(ranges.get(partition)).end()
                        && !visitor.test(partition, record)) {
                    remaining.remove(partition);
                    stopped.add(partition);
                }
            }
            remaining.removeIf(partition -> consumer.position(partition)
                    >= Objects.requireNonNull(ranges.get(partition)).end());
            consumer.pause(consumer.assignment().stream()
                    .filter(partition -> !remaining.contains(partition))
                    .toList());
        }
        return stopped;
    }

    @Override
    public void close() {
        if (committed != null) {
            committed.close();
        }
        if (all != null) {
            all.close();
        }
    }

    private KafkaConsumer<byte[], byte[]> committed() {
        if (committed == null) {
            committed = clients.rangeConsumer(IsolationLevel.READ_COMMITTED);
        }
        return committed;
    }

    private KafkaConsumer<byte[], byte[]> all() {
        if (all == null) {
            all = clients.rangeConsumer(IsolationLevel.READ_UNCOMMITTED);
        }
        return all;
    }
}

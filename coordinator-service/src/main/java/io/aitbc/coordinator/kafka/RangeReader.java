package io.aitbc.coordinator.kafka;

import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.BiPredicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * Reads ranges of partitions once, for somebody who waits. Records of aborted transactions are skipped. Records behind the last stable
 * offset are read too: they were accepted, and a transaction that hangs must not hide them. Owned by one thread.
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
     * What is to be read of a partition.
     *
     * @param stable the last stable offset; what stands behind may be of an open transaction
     * @param end the offset behind the last record
     */
    public record Range(long start, long stable, long end) {}

    /** All that partitions hold now. */
    public Map<TopicPartition, Range> whole(Set<TopicPartition> partitions) {
        // Kafka's client warns about each partition that is asked for and not assigned.
        all().assign(partitions);
        committed().assign(partitions);
        Map<TopicPartition, Long> starts = all().beginningOffsets(partitions);
        Map<TopicPartition, Long> stable = committed().endOffsets(partitions);
        Map<TopicPartition, Long> ends = all().endOffsets(partitions);
        Map<TopicPartition, Range> ranges = new HashMap<>();
        ends.forEach((partition, end) ->
                ranges.put(partition, new Range(starts.get(partition), Math.min(end, stable.get(partition)), end)));
        return ranges;
    }

    /**
     * Reads until all ranges have been read, or the time is up.
     *
     * @param visitor says of each record whether more of its partition is wanted
     */
    public void read(
            Map<TopicPartition, Range> ranges,
            Duration limit,
            BiPredicate<TopicPartition, ConsumerRecord<byte[], byte[]>> visitor) {
        long until = System.nanoTime() + limit.toNanos();
        Map<TopicPartition, Range> readable = new HashMap<>();
        Map<TopicPartition, Range> heldBack = new HashMap<>();
        ranges.forEach((partition, range) -> {
            long border = Math.max(range.start(), Math.min(range.stable(), range.end()));
            if (range.start() < border) {
                readable.put(partition, new Range(range.start(), border, border));
            }
            if (border < range.end()) {
                heldBack.put(partition, new Range(border, border, range.end()));
            }
        });
        if (!readable.isEmpty()) {
            Set<TopicPartition> enough = read(committed(), readable, until, visitor);
            heldBack.keySet().removeAll(enough);
        }
        if (!heldBack.isEmpty()) {
            read(all(), heldBack, until, visitor);
        }
    }

    /** @return the partitions of which no more is wanted */
    private static Set<TopicPartition> read(
            KafkaConsumer<byte[], byte[]> consumer,
            Map<TopicPartition, Range> ranges,
            long until,
            BiPredicate<TopicPartition, ConsumerRecord<byte[], byte[]>> visitor) {
        Set<TopicPartition> left = new HashSet<>(ranges.keySet());
        Set<TopicPartition> enough = new HashSet<>();
        consumer.assign(left);
        // Those that were read before are paused still: the same assignment changes nothing.
        consumer.resume(left);
        ranges.forEach((partition, range) -> consumer.seek(partition, range.start()));
        while (!left.isEmpty() && System.nanoTime() - until < 0) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                if (left.contains(partition)
                        && record.offset() < ranges.get(partition).end()
                        && !visitor.test(partition, record)) {
                    left.remove(partition);
                    enough.add(partition);
                }
            }
            left.removeIf(partition ->
                    consumer.position(partition) >= ranges.get(partition).end());
            consumer.pause(consumer.assignment().stream()
                    .filter(partition -> !left.contains(partition))
                    .toList());
        }
        return enough;
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
            committed = clients.freeConsumer(IsolationLevel.READ_COMMITTED);
        }
        return committed;
    }

    private KafkaConsumer<byte[], byte[]> all() {
        if (all == null) {
            all = clients.freeConsumer(IsolationLevel.READ_UNCOMMITTED);
        }
        return all;
    }
}

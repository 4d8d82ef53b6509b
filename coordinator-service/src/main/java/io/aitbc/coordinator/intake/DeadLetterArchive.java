package io.aitbc.coordinator.intake;

import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

/** Reads what was set aside, the newest first. May be used by any thread; each call reads for itself. */
public final class DeadLetterArchive {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration LONGEST = Duration.ofSeconds(10);
    private static final int CHUNK = 1_000;

    private final KafkaClients clients;
    private final TopicPartition partition;

    public DeadLetterArchive(KafkaClients clients, Topics topics) {
        this.clients = clients;
        this.partition = new TopicPartition(topics.deadLetter(), 0);
    }

    /** A record that was set aside. */
    public record Letter(
            long offset, Instant at, @Nullable String key, byte[] value, ConsumerRecord<byte[], byte[]> record) {
        /** A header's text, see {@link DeadLetterHeaders}. */
        public @Nullable String header(String name) {
            Header header = record.headers().lastHeader(name);
            return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
        }
    }

    /**
     * The letters before an offset, the newest first.
     *
     * @param before {@link Long#MAX_VALUE} for the newest of all
     */
    public List<Letter> list(long before, int limit) {
        try (Consumer<byte[], byte[]> consumer = open()) {
            long end = Math.min(before, end(consumer));
            List<Letter> letters = read(consumer, Math.max(start(consumer), end - limit), end);
            Collections.reverse(letters);
            return letters;
        }
    }

    /** The newest letter about a task; looks back for as long as ten seconds allow. */
    public Optional<Letter> find(String taskId) {
        try (Consumer<byte[], byte[]> consumer = open()) {
            long start = start(consumer);
            long until = System.nanoTime() + LONGEST.toNanos();
            for (long end = end(consumer); end > start && System.nanoTime() - until < 0; end -= CHUNK) {
                List<Letter> letters = read(consumer, Math.max(start, end - CHUNK), end);
                Collections.reverse(letters);
                Optional<Letter> found = letters.stream()
                        .filter(letter -> taskId.equals(letter.key()))
                        .findFirst();
                if (found.isPresent()) {
                    return found;
                }
            }
            return Optional.empty();
        }
    }

    private Consumer<byte[], byte[]> open() {
        Consumer<byte[], byte[]> consumer = clients.freeConsumer();
        consumer.assign(List.of(partition));
        return consumer;
    }

    private long start(Consumer<byte[], byte[]> consumer) {
        return consumer.beginningOffsets(List.of(partition)).get(partition);
    }

    private long end(Consumer<byte[], byte[]> consumer) {
        return consumer.endOffsets(List.of(partition)).get(partition);
    }

    private List<Letter> read(Consumer<byte[], byte[]> consumer, long from, long to) {
        List<Letter> letters = new ArrayList<>();
        consumer.seek(partition, from);
        long until = System.nanoTime() + LONGEST.toNanos();
        while (consumer.position(partition) < to && System.nanoTime() - until < 0) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                if (record.offset() < to) {
                    letters.add(new Letter(
                            record.offset(),
                            Instant.ofEpochMilli(record.timestamp()),
                            record.key() == null ? null : new String(record.key(), StandardCharsets.UTF_8),
                            record.value() == null ? new byte[0] : record.value(),
                            record));
                }
            }
        }
        return letters;
    }
}

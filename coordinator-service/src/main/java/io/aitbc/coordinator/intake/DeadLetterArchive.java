package io.aitbc.coordinator.intake;

import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.RangeReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

/** Reads what was set aside, the newest first. May be used by any thread; each call reads for itself. */
public final class DeadLetterArchive {
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
        try (RangeReader reader = new RangeReader(clients)) {
            List<Letter> letters = new ArrayList<>();
            lookBack(reader, before, limit, letter -> letters.add(letter) && letters.size() < limit);
            return letters;
        }
    }

    /** The newest letter about a task; looks back for as long as ten seconds allow. */
    public Optional<Letter> find(String taskId) {
        try (RangeReader reader = new RangeReader(clients)) {
            List<Letter> found = new ArrayList<>();
            lookBack(reader, Long.MAX_VALUE, CHUNK, letter -> !(taskId.equals(letter.key()) && found.add(letter)));
            return found.stream().findFirst();
        }
    }

    /**
     * Passes on letters, the newest first.
     *
     * @param chunk how many offsets are read at a time; not each of them need be of a letter
     * @param wantsMore whether older ones are wanted too
     */
    private void lookBack(RangeReader reader, long before, int chunk, Predicate<Letter> wantsMore) {
        long until = System.nanoTime() + LONGEST.toNanos();
        RangeReader.Range whole = reader.whole(Set.of(partition)).get(partition);
        long end = Math.min(before, whole.end());
        while (end > whole.start() && System.nanoTime() - until < 0) {
            long start = Math.max(whole.start(), end - chunk);
            List<Letter> letters = new ArrayList<>();
            reader.read(
                    Map.of(partition, new RangeReader.Range(start, whole.stable(), end)),
                    LONGEST,
                    (of, record) -> letters.add(letter(record)));
            Collections.reverse(letters);
            for (Letter letter : letters) {
                if (!wantsMore.test(letter)) {
                    return;
                }
            }
            end = start;
        }
    }

    private static Letter letter(ConsumerRecord<byte[], byte[]> record) {
        return new Letter(
                record.offset(),
                Instant.ofEpochMilli(record.timestamp()),
                record.key() == null ? null : new String(record.key(), StandardCharsets.UTF_8),
                record.value() == null ? new byte[0] : record.value(),
                record);
    }
}

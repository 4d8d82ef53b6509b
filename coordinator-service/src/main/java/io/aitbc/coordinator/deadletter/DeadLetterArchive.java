package io.aitbc.coordinator.deadletter;

import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.RangeReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

/** Reads dead letters, newest first. Thread-safe; each call opens its own reader. */
public final class DeadLetterArchive {
    private static final Duration SEARCH_TIMEOUT = Duration.ofSeconds(10);
    private static final int CHUNK = 1_000;

    private final KafkaClients clients;
    private final TopicPartition partition;

    public DeadLetterArchive(KafkaClients clients, Topics topics) {
        this.clients = clients;
        this.partition = new TopicPartition(topics.deadLetter(), 0);
    }

    /** A dead letter. */
    public record Letter(
            long offset, Instant at, @Nullable String key, byte[] value, ConsumerRecord<byte[], byte[]> record) {
        /** The value of a header, see {@link DeadLetterHeaders}. */
        public @Nullable String header(String name) {
            Header header = record.headers().lastHeader(name);
            return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
        }

        /** Whether it is a task that has failed permanently, not a record that could not be read. */
        public boolean isOfFailedTask() {
            return DeadLetters.isOfFailedTask(record);
        }
    }

    /**
     * The letters below an offset, newest first.
     *
     * @param before {@link Long#MAX_VALUE} to start at the newest
     * @param wanted which of them; fewer than exist if the search times out
     */
    public List<Letter> list(long before, int limit, Predicate<Letter> wanted) {
        try (RangeReader reader = new RangeReader(clients)) {
            List<Letter> letters = new ArrayList<>();
            searchBackwards(reader, before, limit, letter -> {
                if (wanted.test(letter)) {
                    letters.add(letter);
                }
                return letters.size() < limit;
            });
            return letters;
        }
    }

    /**
     * Like {@link #list} with all letters.
     *
     * @throws KafkaException if they cannot be read in time
     */
    public List<Letter> page(long before, int limit) {
        List<Letter> letters = new ArrayList<>();
        try (RangeReader reader = new RangeReader(clients)) {
            if (!reader.readBackwards(partition, before, limit, SEARCH_TIMEOUT, record -> {
                letters.add(letter(record));
                return letters.size() < limit;
            })) {
                throw new KafkaException("dead letters cannot be read within " + SEARCH_TIMEOUT.toSeconds() + " s");
            }
        }
        return letters;
    }

    /**
     * The newest letter of a failed task; if there is none, the newest of the malformed records with its key. Searches backwards for up to
     * ten seconds.
     */
    public Optional<Letter> find(String taskId) {
        try (RangeReader reader = new RangeReader(clients)) {
            List<Letter> malformed = new ArrayList<>();
            List<Letter> found = new ArrayList<>();
            searchBackwards(reader, Long.MAX_VALUE, CHUNK, letter -> {
                if (taskId.equals(letter.key())) {
                    (letter.isOfFailedTask() ? found : malformed).add(letter);
                }
                return found.isEmpty();
            });
            return Stream.concat(found.stream(), malformed.stream()).findFirst();
        }
    }

    /** Passes on letters, newest first, while more are wanted. Reads {@code chunk} offsets at a time; some may hold no letter. */
    private void searchBackwards(RangeReader reader, long before, int chunk, Predicate<Letter> wantsMore) {
        reader.readBackwards(partition, before, chunk, SEARCH_TIMEOUT, record -> wantsMore.test(letter(record)));
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

package io.aitbc.coordinator.queue;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicFollower;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The compacted topic {@code coordinator.ledger}: which records of each partition of the task topics are done. It holds what does not fit into
 * the metadata of a commit, and a copy of the commits for when those of the consumer group are lost. Kafka deletes them after a week without
 * members, and an operator may reset them; records that are still in the topics would then be executed again, once Redis has forgotten their
 * tasks.
 *
 * <p>A record's key is the partition and the writer, a coordinator in one period of ownership, so that the late record of a coordinator that
 * no longer owns the partition replaces nothing. What is done stays done: the union of all records is always true. What does not fit into
 * a record like a commit is in further ones, each with a bitmap of {@value #CHUNK} offsets; only those that changed are written again.
 */
public final class LedgerTopic implements BackgroundService {
    /** Offsets per bitmap: 8 KiB. */
    private static final int CHUNK = 1 << 16;

    private static final Logger log = LoggerFactory.getLogger(LedgerTopic.class);

    private final Producer<String, byte[]> producer;
    private final String topic;
    private final String coordinatorId;
    private final TopicFollower follower;
    /** By partition, then by the rest of the key. */
    private final Map<String, Map<String, Entry>> entries = new ConcurrentHashMap<>();
    /** The partitions of this coordinator; used by its dispatching thread only. */
    private final Map<TopicPartition, Writer> writers = new HashMap<>();

    private int takeovers;

    /**
     * A record's value.
     *
     * @param offset the lowest unfinished offset
     * @param metadata of {@link OffsetLedger}, as far as it fits into a commit, with its {@link CommitTag}
     * @param chunk number of a bitmap, which starts at this multiple of {@value #CHUNK}; null if there is none
     * @param done the bitmap
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Entry(
            @JsonProperty("offset") long offset,
            @JsonProperty("metadata") String metadata,
            @JsonProperty("chunk") @Nullable Long chunk,
            @JsonProperty("done") byte @Nullable [] done) {
        /** @throws IllegalArgumentException if no coordinator can have written it */
        Entry {
            metadata = metadata == null ? "" : metadata;
            if (offset < 0 || (chunk == null) != (done == null)) {
                throw new IllegalArgumentException("offset, or chunk and done, are missing or impossible");
            }
            if (chunk != null && (chunk < 0 || chunk > Long.MAX_VALUE / CHUNK || done.length > CHUNK / Byte.SIZE)) {
                throw new IllegalArgumentException("the bitmap is impossible");
            }
            if (chunk != null && Math.abs(chunk * CHUNK - offset) > Integer.MAX_VALUE / 2) {
                throw new IllegalArgumentException("the bitmap is too far from the offset");
            }
        }

        void addTo(OffsetLedger ledger) {
            ledger.addAll(OffsetLedger.restore(offset, CommitTag.without(metadata)));
            if (chunk != null && done != null) {
                BitSet.valueOf(done).stream().forEach(bit -> ledger.finished(chunk * CHUNK + bit));
            }
        }
    }

    /** What this coordinator writes about a partition that it owns. */
    private static final class Writer {
        final String name;
        /** Keys of the records of earlier owners that it knows. */
        final Set<String> inherited;

        final Map<Long, BitSet> writtenChunks = new HashMap<>();
        /** Bitmaps that the last write made superfluous. */
        final Set<Long> obsolete = new HashSet<>();

        CompletableFuture<Void> last = CompletableFuture.completedFuture(null);

        Writer(String name, Set<String> inherited) {
            this.name = name;
            this.inherited = inherited;
        }
    }

    public LedgerTopic(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            String coordinatorId,
            Clock clock) {
        this.producer = producer;
        this.topic = topics.ledger();
        this.coordinatorId = coordinatorId;
        this.follower = new TopicFollower(clients, shared, topic, "ledger", this::read, this::publishAgain, clock);
    }

    @Override
    public void start() throws InterruptedException {
        follower.start();
    }

    @Override
    public void close() {
        follower.close();
    }

    @Override
    public List<Problem> problems() {
        return follower.problems();
    }

    /** Whether all records have been read that were there at the start. */
    public boolean isLoaded() {
        return follower.isCaughtUp();
    }

    /**
     * A commit of the group, unless it is of no use: it is for another topic of the same name, beyond the end of the partition, or set by
     * another tool, where the ledger knows better. To reset the group's offsets therefore skips no tasks, and repeats none.
     *
     * @param committed null if there is none
     * @param end the next offset of the partition
     */
    public @Nullable OffsetAndMetadata trusted(
            TopicPartition partition, @Nullable Uuid topicId, @Nullable OffsetAndMetadata committed, long end) {
        return committed == null
                        || committed.offset() > end
                        || CommitTag.isForOtherTopic(topicId, committed.metadata())
                        || !CommitTag.isPresent(committed.metadata())
                                && known(partition, topicId).findAny().isPresent()
                ? null
                : committed;
    }

    /**
     * What is done in a partition, according to its commit and to all coordinators that have owned it.
     *
     * @param trusted the group's commit, from {@link #trusted}
     * @return null if nothing is known
     */
    public @Nullable OffsetLedger done(
            TopicPartition partition, @Nullable Uuid topicId, @Nullable OffsetAndMetadata trusted) {
        List<Entry> known = new ArrayList<>();
        if (trusted != null) {
            known.add(new Entry(trusted.offset(), trusted.metadata(), null, null));
        }
        known(partition, topicId).forEach(known::add);
        if (known.isEmpty()) {
            return null;
        }
        OffsetLedger all =
                new OffsetLedger(known.stream().mapToLong(Entry::offset).max().orElseThrow());
        known.forEach(entry -> entry.addTo(all));
        return all;
    }

    private Stream<Entry> known(TopicPartition partition, @Nullable Uuid topicId) {
        return entries.getOrDefault(partition.toString(), Map.of()).values().stream()
                .filter(entry -> !CommitTag.isForOtherTopic(topicId, entry.metadata));
    }

    /** Whether something was done in another topic of the same name, which has been deleted since. */
    public boolean isReplaced(TopicPartition partition, @Nullable Uuid topicId, @Nullable OffsetAndMetadata committed) {
        return committed != null && CommitTag.isForOtherTopic(topicId, committed.metadata())
                || entries.getOrDefault(partition.toString(), Map.of()).values().stream()
                        .anyMatch(entry -> CommitTag.isForOtherTopic(topicId, entry.metadata));
    }

    /**
     * Like {@link #done}, for this coordinator to take over the partition. Records beyond its end are ignored from now on: no coordinator
     * can have written them. Call on its dispatching thread.
     *
     * @param end the next offset of the partition
     */
    public @Nullable OffsetLedger takeOver(
            TopicPartition partition, @Nullable Uuid topicId, @Nullable OffsetAndMetadata trusted, long end) {
        Map<String, Entry> now = entries.getOrDefault(partition.toString(), Map.of());
        // First: what is written meanwhile is not deleted.
        writers.put(partition, new Writer(coordinatorId + "." + takeovers++, Set.copyOf(now.keySet())));
        now.values().removeIf(entry -> {
            boolean impossible = entry.offset > end && !CommitTag.isForOtherTopic(topicId, entry.metadata);
            if (impossible) {
                log.atError()
                        .addKeyValue("partition", partition)
                        .addKeyValue("offset", entry.offset)
                        .addKeyValue("end", end)
                        .log("Ignored a record of coordinator.ledger that is beyond the end of its partition");
            }
            return impossible;
        });
        OffsetLedger done = done(partition, topicId, trusted);
        if (done != null) {
            done.forgetFrom(end);
        }
        return done;
    }

    /**
     * Writes what is done in a partition of this coordinator, and deletes what earlier owners have written, which it includes. Call on its
     * dispatching thread.
     *
     * @param commit with its tag
     * @param full what is done, if it does not fit into the commit's metadata; else null
     * @return completes once Kafka has it
     */
    public CompletableFuture<Void> write(
            TopicPartition partition, OffsetAndMetadata commit, OffsetLedger.@Nullable Snapshot full) {
        Writer writer =
                writers.computeIfAbsent(partition, unknown -> new Writer(coordinatorId + "." + takeovers++, Set.of()));
        List<CompletableFuture<Void>> sent = new ArrayList<>();
        Map<Long, BitSet> chunks = full == null ? Map.of() : chunks(full);
        if (writer.last.isDone() && !writer.last.isCompletedExceptionally()) {
            // Here and not when it is acknowledged: a bitmap may be needed again meanwhile.
            writer.obsolete.removeAll(chunks.keySet());
            writer.obsolete.forEach(number -> delete(key(partition, chunkName(writer, number))));
            writer.obsolete.clear();
        }
        chunks.forEach((number, done) -> {
            if (!done.equals(writer.writtenChunks.put(number, done))) {
                Entry entry = new Entry(commit.offset(), commit.metadata(), number, done.toByteArray());
                sent.add(send(key(partition, chunkName(writer, number)), Json.bytes(entry)));
            }
        });
        sent.add(send(
                key(partition, writer.name), Json.bytes(new Entry(commit.offset(), commit.metadata(), null, null))));
        CompletableFuture<Void> all = CompletableFuture.allOf(sent.toArray(CompletableFuture[]::new));
        writer.writtenChunks.keySet().stream()
                .filter(number -> !chunks.containsKey(number))
                .forEach(writer.obsolete::add);
        writer.writtenChunks.keySet().retainAll(chunks.keySet());
        writer.last = all;
        all.thenRun(() -> known(partition).stream()
                .filter(writer.inherited::contains)
                .forEach(name -> delete(key(partition, name))));
        return all;
    }

    /** Forgets which bitmaps have been written, after a failure. Call on the dispatching thread. */
    public void writeFailed(TopicPartition partition) {
        Writer writer = writers.get(partition);
        if (writer != null) {
            writer.writtenChunks.replaceAll((number, done) -> new BitSet());
        }
    }

    private static Map<Long, BitSet> chunks(OffsetLedger.Snapshot full) {
        Map<Long, BitSet> chunks = new HashMap<>();
        BitSet done = full.done();
        for (int bit = done.nextSetBit(0); bit >= 0; ) {
            long number = (full.lowestUnfinished() + bit) / CHUNK;
            long start = number * CHUNK - full.lowestUnfinished();
            int end = (int) Math.min(done.length(), start + CHUNK);
            chunks.put(number, start < 0 ? shifted(done.get(0, end), (int) -start) : done.get((int) start, end));
            bit = done.nextSetBit(end);
        }
        return chunks;
    }

    private static BitSet shifted(BitSet bits, int by) {
        BitSet shifted = new BitSet(CHUNK);
        bits.stream().forEach(bit -> shifted.set(bit + by));
        return shifted;
    }

    private Set<String> known(TopicPartition partition) {
        return Set.copyOf(entries.getOrDefault(partition.toString(), Map.of()).keySet());
    }

    private CompletableFuture<Void> send(String key, byte @Nullable [] value) {
        return KafkaClients.send(producer, new ProducerRecord<>(topic, key, value));
    }

    private void delete(String key) {
        send(key, null);
    }

    private static String key(TopicPartition partition, String name) {
        return partition + " " + name;
    }

    private static String chunkName(Writer writer, long number) {
        return writer.name + "/" + number;
    }

    private void read(ConsumerRecord<byte[], byte[]> record) {
        String[] key = new String(record.key(), StandardCharsets.UTF_8).split(" ");
        if (key.length != 2) {
            throw new IllegalArgumentException("the key must be a partition and a coordinator");
        }
        if (record.value() == null) {
            entries.computeIfPresent(key[0], (partition, names) -> {
                names.remove(key[1]);
                return names;
            });
            return;
        }
        Entry entry = Json.read(record.value(), Entry.class);
        if (!CommitTag.isPresent(entry.metadata)) {
            throw new IllegalArgumentException("it names no topic");
        }
        entries.computeIfAbsent(key[0], partition -> new ConcurrentHashMap<>()).put(key[1], entry);
    }

    /** The topic has been re-created. */
    private void publishAgain(Set<String> present) {
        entries.forEach((partition, names) -> names.forEach((name, entry) -> {
            String key = partition + " " + name;
            if (!present.contains(key)) {
                send(key, Json.bytes(entry));
            }
        }));
    }
}

package io.aitbc.coordinator.queue;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicFollower;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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
 * The compacted topic {@code coordinator.ledger}: which records of each partition of the task topics are done, for when the commits of the
 * consumer group are lost. Kafka deletes them after a week without members, and an operator may reset them; records that are still in the
 * topics would then be executed again, once Redis has forgotten their tasks.
 *
 * <p>A record's key is the partition and the coordinator that wrote it, so that the late record of a coordinator that no longer owns the
 * partition replaces nothing. What is done stays done: the union of all records is always true. Thread-safe.
 */
public final class LedgerTopic implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(LedgerTopic.class);

    private final Producer<String, byte[]> producer;
    private final String topic;
    private final String writer;
    private final TopicFollower follower;
    /** By partition, then by writer. */
    private final Map<String, Map<String, Entry>> entries = new ConcurrentHashMap<>();

    /**
     * A record's value: as in a commit.
     *
     * @param offset the lowest unfinished offset
     * @param metadata of {@link OffsetLedger}, with its {@link CommitTag}
     */
    record Entry(
            @JsonProperty("offset") long offset,
            @JsonProperty("metadata") String metadata) {
        Entry {
            metadata = metadata == null ? "" : metadata;
        }

        OffsetLedger ledger() {
            return OffsetLedger.restore(offset, CommitTag.without(metadata));
        }
    }

    /** @param writer id of this coordinator */
    public LedgerTopic(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            String writer,
            Clock clock) {
        this.producer = producer;
        this.topic = topics.ledger();
        this.writer = writer;
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
    public List<String> problems() {
        return follower.problems();
    }

    /** Whether all records have been read that were there at the start. */
    public boolean isLoaded() {
        return follower.isCaughtUp();
    }

    /**
     * What is done in a partition, according to its commit and to all coordinators that have owned it.
     *
     * @param committed the group's commit, for this topic; null if there is none
     * @return as in a commit, without its tag; null if nothing is known
     */
    public @Nullable OffsetAndMetadata done(
            TopicPartition partition, @Nullable Uuid topicId, @Nullable OffsetAndMetadata committed) {
        OffsetLedger all = committed == null ? null : new Entry(committed.offset(), committed.metadata()).ledger();
        for (Entry entry : entries.getOrDefault(partition.toString(), Map.of()).values()) {
            if (CommitTag.isForOtherTopic(topicId, entry.metadata)) {
                continue;
            }
            if (all == null) {
                all = entry.ledger();
            } else {
                all.addAll(entry.ledger());
            }
        }
        return all == null ? null : new OffsetAndMetadata(all.lowestUnfinished(), all.metadata());
    }

    /**
     * Writes what is done, and deletes what earlier owners have written, which it includes.
     *
     * @param commits of this coordinator's partitions, with their tags
     */
    public void write(Map<TopicPartition, OffsetAndMetadata> commits) {
        commits.forEach((partition, commit) -> send(
                key(partition.toString(), writer), Json.bytes(new Entry(commit.offset(), commit.metadata())), () -> {
                    Set<String> writers =
                            entries.getOrDefault(partition.toString(), Map.of()).keySet();
                    writers.stream()
                            .filter(other -> !other.equals(writer))
                            .forEach(other -> send(key(partition.toString(), other), null, () -> {}));
                }));
    }

    private void send(String key, byte @Nullable [] value, Runnable next) {
        KafkaClients.send(producer, new ProducerRecord<>(topic, key, value)).whenComplete((done, failure) -> {
            if (failure == null) {
                next.run();
            } else {
                log.atDebug().addKeyValue("record", key).log("Not written to {}: {}", topic, failure.toString());
            }
        });
    }

    private static String key(String partition, String writer) {
        return partition + " " + writer;
    }

    private void read(ConsumerRecord<byte[], byte[]> record) {
        String[] key = new String(record.key(), StandardCharsets.UTF_8).split(" ");
        if (key.length != 2) {
            throw new IllegalArgumentException("the key must be a partition and a coordinator");
        }
        if (record.value() == null) {
            entries.getOrDefault(key[0], Map.of()).remove(key[1]);
        } else {
            entries.computeIfAbsent(key[0], partition -> new ConcurrentHashMap<>())
                    .put(key[1], Json.read(record.value(), Entry.class));
        }
    }

    /** The topic has been re-created. */
    private void publishAgain(Set<String> present) {
        entries.forEach((partition, writers) -> writers.forEach((one, entry) -> {
            if (!present.contains(key(partition, one))) {
                send(key(partition, one), Json.bytes(entry), () -> {});
            }
        }));
    }
}

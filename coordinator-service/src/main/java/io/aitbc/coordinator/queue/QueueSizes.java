package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.match.Position;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Queue sizes by priority, across all partitions and coordinators: the records between commit and high watermark, minus those that the
 * commit's metadata or the ledger marks done. Owners commit past transaction markers and aborted records as soon as they have read past them, so the
 * sizes are exact when idle. While tasks are processed they are as of the last commits, made five times a second. After the start of an
 * open transaction every record counts, because it cannot be read yet.
 */
public final class QueueSizes {
    private static final Logger log = LoggerFactory.getLogger(QueueSizes.class);
    private static final long WAIT_SECONDS = 10;
    private static final int SHORT_WAIT_MS = 3_000;
    private static final ListOffsetsOptions ALL_RECORDS = new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED);
    private static final ListOffsetsOptions COMMITTED_RECORDS = new ListOffsetsOptions(IsolationLevel.READ_COMMITTED);

    private final Admin admin;
    private final Topics topics;
    private final String group;
    private final LedgerTopic ledger;

    public QueueSizes(Admin admin, Topics topics, String group, LedgerTopic ledger) {
        this.admin = admin;
        this.topics = topics;
        this.group = group;
        this.ledger = ledger;
    }

    /**
     * The unfinished part of a partition.
     *
     * @param start the lowest unfinished offset
     * @param stable the last stable offset: the start of the first open transaction, else {@code end}
     * @param end the high watermark
     * @param done what is done; not to be changed
     * @param doneCount how many offsets are done, from the first one that ever was
     */
    public record Extent(long start, long stable, long end, OffsetLedger done, long doneCount) {
        public long unfinished() {
            return Math.max(0, end - doneCount);
        }

        /** Whether all readable records are done. */
        public boolean isReadableDone() {
            return unfinishedBelow(stable) == 0;
        }

        /** How many records below an offset cannot be read until a transaction ends. */
        public long heldBackBelow(long offset) {
            return Math.max(0, Math.min(offset, end) - Math.max(start, stable));
        }

        long unfinishedBelow(long offset) {
            return done.unfinishedBelow(Math.min(offset, end));
        }
    }

    /**
     * The size of each priority's queue; null if its topic is missing.
     *
     * @throws KafkaUnavailableException if Kafka does not answer
     */
    public Map<Priority, @Nullable Long> read() throws InterruptedException {
        try {
            return read(topics.tasks());
        } catch (KafkaUnavailableException e) {
            if (!e.isTopicMissing()) {
                throw e;
            }
        }
        Map<Priority, @Nullable Long> sizes = new EnumMap<>(Priority.class);
        for (Priority priority : Priority.values()) {
            try {
                sizes.putAll(read(List.of(topics.tasks(priority))));
            } catch (KafkaUnavailableException e) {
                if (!e.isTopicMissing()) {
                    throw e;
                }
                sizes.put(priority, null);
            }
        }
        return sizes;
    }

    private Map<Priority, @Nullable Long> read(List<String> names) throws InterruptedException {
        Map<Priority, @Nullable Long> sizes = new EnumMap<>(Priority.class);
        for (String name : names) {
            sizes.put(topics.priorityOf(name), 0L);
        }
        extents(names)
                .forEach((partition, extent) ->
                        sizes.merge(topics.priorityOf(partition.topic()), extent.unfinished(), Long::sum));
        return sizes;
    }

    /** The partitions of a queue. */
    public Map<TopicPartition, Extent> extents(Priority priority) throws InterruptedException {
        return extents(List.of(topics.tasks(priority)));
    }

    /**
     * How many tasks of a queue were appended before a time and have no agent yet. Retried tasks count by the time of
     * their last append.
     */
    public long unfinishedBefore(Priority priority, Instant time) throws InterruptedException {
        List<String> topic = List.of(topics.tasks(priority));
        Map<TopicPartition, Long> firstAfter = offsets(topic, OffsetSpec.forTimestamp(time.toEpochMilli()));
        return extents(topic).entrySet().stream()
                .mapToLong(entry -> {
                    long bound = firstAfter.getOrDefault(entry.getKey(), -1L);
                    return entry.getValue().unfinishedBelow(bound < 0 ? Long.MAX_VALUE : bound);
                })
                .sum();
    }

    /** Partition → the first offset that is unfinished or was appended at or after a time; only if records precede it. */
    Map<TopicPartition, Long> doneBefore(Instant time) throws InterruptedException {
        Map<TopicPartition, Long> starts = offsets(topics.tasks(), OffsetSpec.earliest());
        Map<TopicPartition, Long> firstAfter = offsets(topics.tasks(), OffsetSpec.forTimestamp(time.toEpochMilli()));
        Map<TopicPartition, Long> done = new HashMap<>();
        ledgers().forEach((partition, ledger) -> {
            long start = starts.getOrDefault(partition, Long.MAX_VALUE);
            long bound = firstAfter.getOrDefault(partition, -1L);
            long offset = bound < 0 ? ledger.lowestUnfinished() : Math.min(bound, ledger.lowestUnfinished());
            if (offset > start) {
                done.put(partition, offset);
            }
        });
        return done;
    }

    private Map<TopicPartition, Extent> extents(List<String> names) throws InterruptedException {
        Set<TopicPartition> partitions = partitions(names);
        ListOffsetsResult firstOffsets = list(partitions, OffsetSpec.earliest(), ALL_RECORDS);
        Map<TopicPartition, OffsetAndMetadata> commits = commits();
        // Queried after the commits, so that these are never above the end offsets.
        ListOffsetsResult stableOffsets = list(partitions, OffsetSpec.latest(), COMMITTED_RECORDS);
        ListOffsetsResult endOffsets = list(partitions, OffsetSpec.latest(), ALL_RECORDS);
        Map<TopicPartition, Long> starts = offsets(firstOffsets);
        Map<TopicPartition, Long> stable = offsets(stableOffsets);
        Map<TopicPartition, Extent> extents = new HashMap<>();
        Map<String, Uuid> ids = topicIds();
        offsets(endOffsets).forEach((partition, end) -> {
            Uuid id = ids.get(partition.topic());
            OffsetAndMetadata commit = ledger.trusted(partition, id, commits.get(partition), end);
            OffsetLedger done = ledger.done(partition, id, commit);
            long start = starts.getOrDefault(partition, 0L);
            if (done == null) {
                done = new OffsetLedger(start);
            }
            done.readUpTo(start);
            // The count in the commit is exact, even if not all that is done has been read from the ledger yet.
            long count =
                    commit == null ? 0 : commit.offset() + OffsetLedger.doneAbove(CommitTag.without(commit.metadata()));
            extents.put(
                    partition,
                    new Extent(
                            done.lowestUnfinished(),
                            Math.min(stable.getOrDefault(partition, end), end),
                            end,
                            done,
                            Math.max(count, done.doneCount())));
        });
        return extents;
    }

    /** Partition → its next offset, for one priority. */
    public Map<Integer, Long> ends(Priority priority) throws InterruptedException {
        return ends(partitions(List.of(topics.tasks(priority)))).entrySet().stream()
                .collect(Collectors.toMap(entry -> entry.getKey().partition(), Map.Entry::getValue));
    }

    /** Partition → its high watermark, with a short timeout for a thread that has other work. */
    public Map<TopicPartition, Long> ends(Set<TopicPartition> partitions) throws InterruptedException {
        return offsets(list(
                partitions,
                OffsetSpec.latest(),
                new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED).timeoutMs(SHORT_WAIT_MS)));
    }

    /**
     * Where a partition begins and ends.
     *
     * @param beginning the offset of the first record
     * @param end the offset after the last one
     */
    public record Bounds(long beginning, long end) {}

    /** The bounds of partitions; those that have no leader, or do not answer in time, are absent. */
    public Map<TopicPartition, Bounds> bounds(Set<TopicPartition> partitions, Duration limit)
            throws InterruptedException {
        ListOffsetsResult beginnings = list(partitions, OffsetSpec.earliest(), ALL_RECORDS);
        ListOffsetsResult ends = list(partitions, OffsetSpec.latest(), ALL_RECORDS);
        long until = System.nanoTime() + limit.toNanos();
        Map<TopicPartition, Bounds> bounds = new HashMap<>();
        for (TopicPartition partition : partitions) {
            try {
                long beginning = await(beginnings.partitionResult(partition), until);
                bounds.put(partition, new Bounds(beginning, await(ends.partitionResult(partition), until)));
            } catch (ExecutionException | TimeoutException e) {
                log.atDebug().addKeyValue("partition", partition).log("Bounds unknown: {}", e.toString());
            }
        }
        return bounds;
    }

    private static long await(KafkaFuture<ListOffsetsResult.ListOffsetsResultInfo> future, long until)
            throws InterruptedException, ExecutionException, TimeoutException {
        return future.get(Math.max(1, until - System.nanoTime()), TimeUnit.NANOSECONDS)
                .offset();
    }

    /** Passes on the beginning of each partition, on other threads, as Kafka answers; not those of partitions without a leader. */
    public void eachBeginning(Set<TopicPartition> partitions, BiConsumer<TopicPartition, Long> listener) {
        each(partitions, OffsetSpec.earliest(), listener);
    }

    /** Like {@link #eachBeginning}, with the high watermark. */
    public void eachEnd(Set<TopicPartition> partitions, BiConsumer<TopicPartition, Long> listener) {
        each(partitions, OffsetSpec.latest(), listener);
    }

    /** Like {@link #eachBeginning}, with the first offset that was appended at or after a time; -1 if there is none. */
    public void eachFirstSince(
            Instant time, Set<TopicPartition> partitions, BiConsumer<TopicPartition, Long> listener) {
        each(partitions, OffsetSpec.forTimestamp(time.toEpochMilli()), listener);
    }

    private void each(Set<TopicPartition> partitions, OffsetSpec spec, BiConsumer<TopicPartition, Long> listener) {
        if (partitions.isEmpty()) {
            return;
        }
        ListOffsetsResult listed = list(partitions, spec, ALL_RECORDS);
        for (TopicPartition partition : partitions) {
            listed.partitionResult(partition).whenComplete((answer, failure) -> {
                if (failure == null) {
                    listener.accept(partition, answer.offset());
                }
            });
        }
    }

    private Map<TopicPartition, Long> offsets(List<String> names, OffsetSpec spec) throws InterruptedException {
        return offsets(list(partitions(names), spec, ALL_RECORDS));
    }

    private Set<TopicPartition> partitions(List<String> names) throws InterruptedException {
        return get(admin.describeTopics(names).allTopicNames()).values().stream()
                .flatMap(topic -> topic.partitions().stream()
                        .map(partition -> new TopicPartition(topic.name(), partition.partition())))
                .collect(Collectors.toSet());
    }

    private ListOffsetsResult list(Set<TopicPartition> partitions, OffsetSpec spec, ListOffsetsOptions options) {
        return admin.listOffsets(
                partitions.stream().collect(Collectors.toMap(partition -> partition, partition -> spec)), options);
    }

    private static Map<TopicPartition, Long> offsets(ListOffsetsResult listed) throws InterruptedException {
        return get(listed.all()).entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, entry -> entry.getValue().offset()));
    }

    /** Commits, without those made for an earlier topic of the same name. */
    private Map<TopicPartition, OffsetAndMetadata> commits() throws InterruptedException {
        Map<String, Uuid> ids = topicIds();
        Map<TopicPartition, OffsetAndMetadata> commits = new HashMap<>();
        try {
            get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata(group))
                    .forEach((partition, commit) -> {
                        if (commit != null
                                && !CommitTag.isForOtherTopic(ids.get(partition.topic()), commit.metadata())) {
                            commits.put(partition, commit);
                        }
                    });
        } catch (KafkaUnavailableException e) {
            if (!(e.getCause() instanceof GroupIdNotFoundException)) {
                throw e;
            }
        }
        return commits;
    }

    /** The given positions that their lanes have committed as done. */
    Set<Position> done(Collection<Position> positions) throws InterruptedException {
        Map<TopicPartition, OffsetLedger> ledgers = ledgers();
        return positions.stream()
                .filter(position -> {
                    OffsetLedger ledger =
                            ledgers.get(new TopicPartition(topics.tasks(position.priority()), position.partition()));
                    return ledger != null && ledger.isDone(position.offset());
                })
                .collect(Collectors.toSet());
    }

    /** What is done, by partition; those of which nothing is known are absent. */
    private Map<TopicPartition, OffsetLedger> ledgers() throws InterruptedException {
        Map<String, Uuid> ids = topicIds();
        Map<TopicPartition, OffsetAndMetadata> commits = commits();
        // After the commits, so that these are never above.
        Map<TopicPartition, Long> ends = offsets(topics.tasks(), OffsetSpec.latest());
        Map<TopicPartition, OffsetLedger> ledgers = new HashMap<>();
        ends.forEach((partition, end) -> {
            Uuid id = ids.get(partition.topic());
            OffsetAndMetadata commit = ledger.trusted(partition, id, commits.get(partition), end);
            OffsetLedger done = ledger.done(partition, id, commit);
            if (done != null) {
                ledgers.put(partition, done);
            }
        });
        return ledgers;
    }

    private Map<String, Uuid> topicIds() throws InterruptedException {
        Map<String, Uuid> ids = new HashMap<>();
        for (Map.Entry<String, KafkaFuture<TopicDescription>> topic :
                admin.describeTopics(topics.tasks()).topicNameValues().entrySet()) {
            try {
                ids.put(topic.getKey(), get(topic.getValue()).topicId());
            } catch (KafkaUnavailableException e) {
                if (!e.isTopicMissing()) {
                    throw e;
                }
            }
        }
        return ids;
    }

    private static <T> T get(KafkaFuture<T> future) throws InterruptedException {
        try {
            return future.get(WAIT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new KafkaUnavailableException(e.getCause());
        } catch (TimeoutException e) {
            throw new KafkaUnavailableException(new TimeoutException("no response within " + WAIT_SECONDS + " s"));
        }
    }

    /** Thrown if Kafka does not answer a request. */
    public static final class KafkaUnavailableException extends RuntimeException {
        KafkaUnavailableException(@Nullable Throwable cause) {
            super(
                    cause instanceof UnknownTopicOrPartitionException
                            ? "a topic is missing; it is re-created as soon as Kafka permits"
                            : "Kafka request failed: " + (cause == null ? "unknown cause" : cause.getMessage()),
                    cause);
        }

        boolean isTopicMissing() {
            return getCause() instanceof UnknownTopicOrPartitionException;
        }
    }
}

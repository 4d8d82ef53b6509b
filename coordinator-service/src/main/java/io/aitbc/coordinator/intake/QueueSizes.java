package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.CommitTag;
import java.time.Instant;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
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

/**
 * How many tasks of each priority no agent has, over all partitions and coordinators: what stands between commits and ends, less what
 * the commits' metadata say is done. Exact when idle; while tasks come and go, as of the last commits, which are made five times a
 * second.
 */
public final class QueueSizes {
    private static final long WAIT_SECONDS = 10;
    private static final ListOffsetsOptions COMMITTED_RECORDS = new ListOffsetsOptions(IsolationLevel.READ_COMMITTED);

    private final Admin admin;
    private final Topics topics;
    private final String group;

    public QueueSizes(Admin admin, Topics topics, String group) {
        this.admin = admin;
        this.topics = topics;
        this.group = group;
    }

    /**
     * What of a partition is not done.
     *
     * @param start the lowest unfinished offset
     * @param end the offset behind the last record
     * @param metadata what the owner committed of offsets above {@code start}
     */
    public record Extent(long start, long end, String metadata) {
        public long unfinished() {
            return Math.max(0, end - start - OffsetLedger.doneAbove(metadata));
        }

        long unfinishedBelow(long offset) {
            OffsetLedger ledger = OffsetLedger.restore(start, metadata);
            return LongStream.range(start, Math.min(offset, end))
                    .filter(one -> !ledger.isDone(one))
                    .count();
        }
    }

    /**
     * Every priority's size; null where its topic is missing.
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
    Map<TopicPartition, Extent> extents(Priority priority) throws InterruptedException {
        return extents(List.of(topics.tasks(priority)));
    }

    /**
     * How many tasks of a queue came before a time and have no agent yet. Tasks that were tried or put off before count by when they
     * were appended last.
     */
    public long before(Priority priority, Instant time) throws InterruptedException {
        List<String> topic = List.of(topics.tasks(priority));
        Map<TopicPartition, Long> firstAfter = offsets(topic, OffsetSpec.forTimestamp(time.toEpochMilli()));
        return extents(topic).entrySet().stream()
                .mapToLong(entry -> {
                    long bound = firstAfter.getOrDefault(entry.getKey(), -1L);
                    return entry.getValue().unfinishedBelow(bound < 0 ? Long.MAX_VALUE : bound);
                })
                .sum();
    }

    /** Partition → the first offset that is unfinished or was appended at a time or later; only where records lie before it. */
    Map<TopicPartition, Long> doneBefore(Instant time) throws InterruptedException {
        Map<TopicPartition, Long> starts = offsets(topics.tasks(), OffsetSpec.earliest());
        Map<TopicPartition, Long> firstAfter = offsets(topics.tasks(), OffsetSpec.forTimestamp(time.toEpochMilli()));
        Map<TopicPartition, Long> done = new HashMap<>();
        commits().forEach((partition, commit) -> {
            long start = starts.getOrDefault(partition, Long.MAX_VALUE);
            long bound = firstAfter.getOrDefault(partition, -1L);
            long offset = bound < 0 ? commit.offset() : Math.min(bound, commit.offset());
            if (offset > start) {
                done.put(partition, offset);
            }
        });
        return done;
    }

    private Map<TopicPartition, Extent> extents(List<String> names) throws InterruptedException {
        Map<TopicPartition, Long> starts = offsets(names, OffsetSpec.earliest());
        Map<TopicPartition, OffsetAndMetadata> commits = commits();
        Map<TopicPartition, Extent> extents = new HashMap<>();
        offsets(names, OffsetSpec.latest()).forEach((partition, end) -> {
            OffsetAndMetadata commit = commits.get(partition);
            long start = starts.getOrDefault(partition, 0L);
            boolean known = commit != null && commit.offset() >= start;
            extents.put(partition, new Extent(known ? commit.offset() : start, end, known ? commit.metadata() : ""));
        });
        return extents;
    }

    /** Partition → the offset that the next task of a priority will have there. */
    public Map<Integer, Long> ends(Priority priority) throws InterruptedException {
        return offsets(List.of(topics.tasks(priority)), OffsetSpec.latest()).entrySet().stream()
                .collect(Collectors.toMap(entry -> entry.getKey().partition(), Map.Entry::getValue));
    }

    private Map<TopicPartition, Long> offsets(List<String> names, OffsetSpec spec) throws InterruptedException {
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        for (TopicDescription topic :
                get(admin.describeTopics(names).allTopicNames()).values()) {
            topic.partitions()
                    .forEach(partition -> wanted.put(new TopicPartition(topic.name(), partition.partition()), spec));
        }
        Map<TopicPartition, ListOffsetsResultInfo> found =
                get(admin.listOffsets(wanted, COMMITTED_RECORDS).all());
        return found.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, entry -> entry.getValue().offset()));
    }

    /** Without those that tell of an earlier topic of the same name. */
    private Map<TopicPartition, OffsetAndMetadata> commits() throws InterruptedException {
        Map<String, Uuid> ids = topicIds();
        Map<TopicPartition, OffsetAndMetadata> commits = new HashMap<>();
        try {
            get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata(group))
                    .forEach((partition, commit) -> {
                        if (commit != null && !CommitTag.isOfAnother(ids.get(partition.topic()), commit.metadata())) {
                            commits.put(
                                    partition,
                                    new OffsetAndMetadata(commit.offset(), CommitTag.without(commit.metadata())));
                        }
                    });
        } catch (KafkaUnavailableException e) {
            if (!(e.getCause() instanceof GroupIdNotFoundException)) {
                throw e;
            }
        }
        return commits;
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
            throw new KafkaUnavailableException(e);
        }
    }

    /** Kafka did not answer a question. */
    public static final class KafkaUnavailableException extends RuntimeException {
        KafkaUnavailableException(Throwable cause) {
            super(
                    cause instanceof UnknownTopicOrPartitionException
                            ? "a topic is missing; it is created again as soon as Kafka permits"
                            : "Kafka does not answer: " + cause.getMessage(),
                    cause);
        }

        boolean isTopicMissing() {
            return getCause() instanceof UnknownTopicOrPartitionException;
        }
    }
}

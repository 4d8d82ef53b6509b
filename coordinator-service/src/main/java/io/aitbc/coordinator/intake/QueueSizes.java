package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

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

    /** @throws KafkaUnavailableException if Kafka does not answer */
    public Map<Priority, Long> read() throws InterruptedException {
        Map<TopicPartition, Long> ends = offsets(OffsetSpec.latest());
        Map<TopicPartition, Long> starts = offsets(OffsetSpec.earliest());
        Map<TopicPartition, OffsetAndMetadata> commits = commits();
        Map<Priority, Long> sizes = new EnumMap<>(Priority.class);
        for (Priority priority : Priority.values()) {
            sizes.put(priority, 0L);
        }
        ends.forEach((partition, end) -> {
            OffsetAndMetadata commit = commits.get(partition);
            long start = starts.getOrDefault(partition, 0L);
            long committed = commit == null ? start : Math.max(start, commit.offset());
            long doneAbove = commit == null ? 0 : OffsetLedger.doneAbove(commit.metadata());
            sizes.merge(topics.priorityOf(partition.topic()), Math.max(0, end - committed - doneAbove), Long::sum);
        });
        return sizes;
    }

    /** Partition → the offset that the next task of a priority will have there. */
    public Map<Integer, Long> ends(Priority priority) throws InterruptedException {
        return offsets(OffsetSpec.latest()).entrySet().stream()
                .filter(entry -> entry.getKey().topic().equals(topics.tasks(priority)))
                .collect(Collectors.toMap(entry -> entry.getKey().partition(), Map.Entry::getValue));
    }

    private Map<TopicPartition, Long> offsets(OffsetSpec spec) throws InterruptedException {
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        for (TopicDescription topic :
                get(admin.describeTopics(topics.tasks()).allTopicNames()).values()) {
            topic.partitions()
                    .forEach(partition -> wanted.put(new TopicPartition(topic.name(), partition.partition()), spec));
        }
        Map<TopicPartition, ListOffsetsResultInfo> found =
                get(admin.listOffsets(wanted, COMMITTED_RECORDS).all());
        return found.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, entry -> entry.getValue().offset()));
    }

    private Map<TopicPartition, OffsetAndMetadata> commits() throws InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> commits = new HashMap<>();
        try {
            get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata(group))
                    .forEach((partition, commit) -> {
                        if (commit != null) {
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
            super("Kafka does not answer: " + cause.getMessage(), cause);
        }
    }
}

package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetCommitCallback;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.WakeupException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The consumer of the task topics: a new one each time that it is opened. Owned by one thread; any thread may wake it. */
final class TaskConsumer implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(TaskConsumer.class);

    /** How long a round may wait for Kafka. */
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(3);

    private final Supplier<KafkaConsumer<byte[], byte[]>> newConsumer;
    private final Supplier<Map<String, Uuid>> topicIds;
    private final Topics topics;
    private volatile @Nullable KafkaConsumer<byte[], byte[]> consumer;
    /** Subscribed topics with their ids; topics that were missing when the consumer was opened are absent. */
    private Map<String, Uuid> subscribedTopics = Map.of();

    /** @param topicIds the current ids of the existing task topics */
    TaskConsumer(
            Supplier<KafkaConsumer<byte[], byte[]>> newConsumer, Supplier<Map<String, Uuid>> topicIds, Topics topics) {
        this.newConsumer = newConsumer;
        this.topicIds = topicIds;
        this.topics = topics;
    }

    /** Subscribes to the existing task topics; returns false if there are none. */
    boolean open(ConsumerRebalanceListener listener) {
        subscribedTopics = topicIds.get();
        if (subscribedTopics.isEmpty()) {
            return false;
        }
        KafkaConsumer<byte[], byte[]> opened = newConsumer.get();
        consumer = opened;
        opened.subscribe(subscribedTopics.keySet(), listener);
        return true;
    }

    /** Leaves the group. The listener is notified of the partitions lost by that. */
    @Override
    public void close() {
        KafkaConsumer<byte[], byte[]> opened = consumer;
        if (opened != null) {
            opened.close();
            consumer = null;
        }
    }

    /** Ends a call that blocks: it throws a {@link WakeupException}. Any thread may call this. */
    void wakeUp() {
        KafkaConsumer<byte[], byte[]> opened = consumer;
        if (opened != null) {
            opened.wakeup();
        }
    }

    /** Whether task topics were created, deleted or re-created since it was opened. */
    boolean haveTopicsChanged() {
        return !subscribedTopics.equals(topicIds.get());
    }

    /** The subscribed topics that no longer exist, including those re-created since. */
    Set<String> deletedTopics() {
        Map<String, Uuid> existing = topicIds.get();
        return subscribedTopics.entrySet().stream()
                .filter(topic -> !topic.getValue().equals(existing.get(topic.getKey())))
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    /** The id of a subscribed partition's topic. */
    @Nullable
    Uuid topicId(TopicPartition partition) {
        return subscribedTopics.get(partition.topic());
    }

    Priority priorityOf(String topic) {
        return topics.priorityOf(topic);
    }

    OwnedPartition.Id id(TopicPartition partition) {
        return new OwnedPartition.Id(topics.priorityOf(partition.topic()), partition.partition());
    }

    Set<OwnedPartition.Id> ids(Collection<TopicPartition> partitions) {
        return partitions.stream().map(this::id).collect(Collectors.toSet());
    }

    TopicPartition partition(OwnedPartition.Id id) {
        return new TopicPartition(topics.tasks(id.priority()), id.number());
    }

    /** @throws WakeupException if woken */
    ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
        return opened().poll(timeout);
    }

    Set<TopicPartition> assignment() {
        return opened().assignment();
    }

    void pause(Collection<TopicPartition> partitions) {
        opened().pause(partitions);
    }

    void resume(Collection<TopicPartition> partitions) {
        opened().resume(partitions);
    }

    void seek(TopicPartition partition, long offset) {
        opened().seek(partition, offset);
    }

    void seekToBeginning(TopicPartition partition) {
        opened().seekToBeginning(Set.of(partition));
    }

    /** The next offset to read. */
    long position(TopicPartition partition) {
        return retryOnWakeup(() -> opened().position(partition, REQUEST_TIMEOUT));
    }

    /** Partition → the offset of the first record. */
    Map<TopicPartition, Long> beginnings(Set<TopicPartition> partitions) {
        return retryOnWakeup(() -> opened().beginningOffsets(partitions, REQUEST_TIMEOUT));
    }

    /** Partition → the next offset, as far as transactions have ended. */
    Map<TopicPartition, Long> ends(Set<TopicPartition> partitions) {
        return retryOnWakeup(() -> opened().endOffsets(partitions, REQUEST_TIMEOUT));
    }

    /** The last commits; null for a partition without one. */
    Map<TopicPartition, @Nullable OffsetAndMetadata> committed(Set<TopicPartition> partitions) {
        return retryOnWakeup(() -> opened().committed(partitions, REQUEST_TIMEOUT));
    }

    /** Commits without waiting. The callback runs during a later call. */
    void commitAsync(Map<TopicPartition, OffsetAndMetadata> offsets, OffsetCommitCallback callback) {
        opened().commitAsync(offsets, callback);
    }

    void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets, Duration timeout) {
        retryOnWakeup(() -> {
            opened().commitSync(offsets, timeout);
            return offsets;
        });
    }

    private KafkaConsumer<byte[], byte[]> opened() {
        KafkaConsumer<byte[], byte[]> opened = consumer;
        if (opened == null) {
            throw new IllegalStateException("the consumer is not open");
        }
        return opened;
    }

    /** Repeats a call that was interrupted by a wakeup meant for the poll. */
    private static <T> T retryOnWakeup(Supplier<T> call) {
        while (true) {
            try {
                return call.get();
            } catch (WakeupException e) {
                log.trace("Woken");
            }
        }
    }
}

package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.RangeReader;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Inspects waiting tasks in Kafka, so that any coordinator can answer. Thread-safe; each call opens its own reader. */
public final class QueuePeek {
    private static final Logger log = LoggerFactory.getLogger(QueuePeek.class);
    private static final Duration SEARCH_TIMEOUT = Duration.ofSeconds(5);
    private final KafkaClients clients;
    private final QueueSizes sizes;
    private final TaskRecords records;
    private final Function<Collection<String>, Map<String, TaskStatus>> statuses;

    /** @param statuses queries task statuses by id, as does {@code TaskStates} */
    public QueuePeek(
            KafkaClients clients,
            QueueSizes sizes,
            TaskRecords records,
            Function<Collection<String>, Map<String, TaskStatus>> statuses) {
        this.clients = clients;
        this.sizes = sizes;
        this.records = records;
        this.statuses = statuses;
    }

    /**
     * The tasks of a queue that have waited longest, in that order; possibly fewer than exist if the search times out.
     *
     * @param wanted which of them
     */
    public List<WaitingTask> first(Priority priority, int limit, Predicate<Task> wanted) throws InterruptedException {
        List<WaitingTask> found = new ArrayList<>();
        Map<TopicPartition, QueueSizes.Extent> extents = new HashMap<>(sizes.extents(priority));
        extents.values().removeIf(extent -> extent.unfinished() == 0);
        if (!extents.isEmpty()) {
            try (RangeReader reader = new RangeReader(clients)) {
                read(reader, extents, limit, wanted, found);
            }
        }
        found.sort(Comparator.comparing(WaitingTask::waitingSince).thenComparing(WaitingTask::position));
        // Some may have been assigned since the last commit.
        Map<String, TaskStatus> known =
                statuses.apply(found.stream().map(WaitingTask::id).toList());
        return found.stream()
                .filter(task -> known.getOrDefault(task.id(), TaskStatus.QUEUED) == TaskStatus.QUEUED)
                .limit(limit)
                .toList();
    }

    /** The partition of a task that an open transaction hides from readers; empty also if the search times out. */
    public Optional<TopicPartition> heldBack(Priority priority, String taskId) throws InterruptedException {
        Map<TopicPartition, RangeReader.Range> heldBack = new HashMap<>();
        sizes.extents(priority).forEach((partition, extent) -> {
            if (extent.stable() < extent.end()) {
                heldBack.put(partition, new RangeReader.Range(extent.stable(), extent.stable(), extent.end()));
            }
        });
        List<TopicPartition> found = new ArrayList<>();
        if (!heldBack.isEmpty()) {
            try (RangeReader reader = new RangeReader(clients)) {
                reader.read(heldBack, SEARCH_TIMEOUT, (partition, record) -> {
                    if (taskId.equals(idOf(record))) {
                        found.add(partition);
                    }
                    return found.isEmpty();
                });
            }
        }
        return found.stream().findFirst();
    }

    private void read(
            RangeReader reader,
            Map<TopicPartition, QueueSizes.Extent> extents,
            int limit,
            Predicate<Task> wanted,
            List<WaitingTask> found) {
        Map<TopicPartition, RangeReader.Range> ranges = new HashMap<>();
        extents.forEach((partition, extent) ->
                ranges.put(partition, new RangeReader.Range(extent.start(), extent.stable(), extent.end())));
        Map<TopicPartition, Integer> counts = new HashMap<>();
        reader.read(
                ranges,
                SEARCH_TIMEOUT,
                (partition, record) ->
                        Objects.requireNonNull(extents.get(partition)).done().isDone(record.offset())
                                || !add(record, wanted, found)
                                || counts.merge(partition, 1, Integer::sum) < limit);
    }

    private @Nullable String idOf(ConsumerRecord<byte[], byte[]> record) {
        try {
            return records.read(record).id();
        } catch (TaskRecords.PoisonException e) {
            return null;
        }
    }

    private boolean add(ConsumerRecord<byte[], byte[]> record, Predicate<Task> wanted, List<WaitingTask> found) {
        try {
            WaitingTask task = records.read(record);
            return wanted.test(task.task()) && found.add(task);
        } catch (TaskRecords.PoisonException e) {
            log.atDebug().log("Skipped a record that is not a task: {}", e.getMessage());
            return false;
        }
    }
}

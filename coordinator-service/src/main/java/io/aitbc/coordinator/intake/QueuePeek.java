package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Looks at what waits, as Kafka has it: any coordinator can tell. May be used by any thread; each call reads for itself. */
public final class QueuePeek {
    private static final Logger log = LoggerFactory.getLogger(QueuePeek.class);
    private static final Duration LONGEST = Duration.ofSeconds(5);
    private static final Duration POLL = Duration.ofMillis(200);
    private final KafkaClients clients;
    private final QueueSizes sizes;
    private final TaskRecords records;
    private final TaskStates states;

    public QueuePeek(KafkaClients clients, QueueSizes sizes, TaskRecords records, TaskStates states) {
        this.clients = clients;
        this.sizes = sizes;
        this.records = records;
        this.states = states;
    }

    /** The tasks of a queue that have waited longest, in that order; fewer than there are if finding them takes too long. */
    public List<WaitingTask> first(Priority priority, int limit) throws InterruptedException {
        List<WaitingTask> found = new ArrayList<>();
        Map<TopicPartition, QueueSizes.Extent> extents = new HashMap<>(sizes.extents(priority));
        extents.values().removeIf(extent -> extent.unfinished() == 0);
        if (!extents.isEmpty()) {
            try (Consumer<byte[], byte[]> consumer = clients.freeConsumer()) {
                read(consumer, extents, limit, found);
            }
        }
        found.sort(Comparator.comparing(WaitingTask::waitingSince).thenComparing(WaitingTask::position));
        // Some may have been assigned since the last commit.
        Map<String, String> statuses =
                states.statuses(found.stream().map(WaitingTask::id).toList());
        return found.stream()
                .filter(task -> statuses.getOrDefault(task.id(), "queued").equals("queued"))
                .limit(limit)
                .toList();
    }

    private void read(
            Consumer<byte[], byte[]> consumer,
            Map<TopicPartition, QueueSizes.Extent> extents,
            int limit,
            List<WaitingTask> found) {
        Set<TopicPartition> left = new HashSet<>(extents.keySet());
        Map<TopicPartition, OffsetLedger> ledgers = new HashMap<>();
        extents.forEach(
                (partition, extent) -> ledgers.put(partition, OffsetLedger.restore(extent.start(), extent.metadata())));
        Map<TopicPartition, Integer> counts = new HashMap<>();
        consumer.assign(left);
        extents.forEach((partition, extent) -> consumer.seek(partition, extent.start()));
        long until = System.nanoTime() + LONGEST.toNanos();
        while (!left.isEmpty() && System.nanoTime() - until < 0) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                if (left.contains(partition)
                        && !ledgers.get(partition).isDone(record.offset())
                        && add(record, found)
                        && counts.merge(partition, 1, Integer::sum) == limit) {
                    left.remove(partition);
                }
            }
            left.removeIf(partition ->
                    consumer.position(partition) >= extents.get(partition).end());
            consumer.pause(consumer.assignment().stream()
                    .filter(partition -> !left.contains(partition))
                    .toList());
        }
    }

    private boolean add(ConsumerRecord<byte[], byte[]> record, List<WaitingTask> found) {
        try {
            return found.add(records.read(record));
        } catch (TaskRecords.PoisonException e) {
            log.atDebug().log("Not a task, as its owner will find too: {}", e.getMessage());
            return false;
        }
    }
}

package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads tasks back from their queues after assignment. Thread-safe. */
public final class TaskArchive {
    private static final Logger log = LoggerFactory.getLogger(TaskArchive.class);
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final Duration POLL = Duration.ofMillis(500);

    private final KafkaClients clients;
    private final Topics topics;
    private final TaskRecords records;
    private final QueueSizes sizes;

    public TaskArchive(KafkaClients clients, Topics topics, TaskRecords records, QueueSizes sizes) {
        this.clients = clients;
        this.topics = topics;
        this.records = records;
        this.sizes = sizes;
    }

    /** The given positions that their lanes have committed as done. A task's record is done once Kafka has acknowledged its assignment. */
    public Set<Position> done(Collection<Position> positions) throws InterruptedException {
        return sizes.done(positions);
    }

    /** The tasks at the given positions. Positions whose record has been deleted, or holds no task, are absent. */
    public Map<Position, WaitingTask> read(Collection<Position> positions) {
        Map<Position, WaitingTask> found = new HashMap<>();
        if (positions.isEmpty()) {
            return found;
        }
        try (Consumer<byte[], byte[]> consumer = clients.freeConsumer()) {
            for (Position position : positions) {
                read(consumer, position, found);
            }
        }
        return found;
    }

    private void read(Consumer<byte[], byte[]> consumer, Position position, Map<Position, WaitingTask> found) {
        TopicPartition partition = new TopicPartition(topics.tasks(position.priority()), position.partition());
        consumer.assign(List.of(partition));
        long start = consumer.beginningOffsets(List.of(partition), PATIENCE).getOrDefault(partition, Long.MAX_VALUE);
        long end = consumer.endOffsets(List.of(partition), PATIENCE).getOrDefault(partition, 0L);
        if (position.offset() < start || position.offset() >= end) {
            return;
        }
        consumer.seek(partition, position.offset());
        while (consumer.position(partition, PATIENCE) <= position.offset()) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                if (record.offset() == position.offset()) {
                    keep(record, position, found);
                }
            }
        }
    }

    private void keep(ConsumerRecord<byte[], byte[]> record, Position position, Map<Position, WaitingTask> found) {
        try {
            found.put(position, records.read(record));
        } catch (TaskRecords.PoisonException e) {
            log.atDebug().addKeyValue("position", position).log("No task at this position: {}", e.getMessage());
        }
    }
}

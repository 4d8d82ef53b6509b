package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicHistory;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads tasks back from their queues after assignment. Thread-safe. */
public final class TaskArchive {
    private static final Logger log = LoggerFactory.getLogger(TaskArchive.class);

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

    /**
     * The tasks at the given positions. Positions whose record has been deleted, or holds no task, are absent.
     *
     * @throws TimeoutException if Kafka stops answering, or the topic has been deleted
     */
    public Map<Position, WaitingTask> read(Collection<Position> positions) {
        Map<Position, WaitingTask> found = new HashMap<>();
        if (positions.isEmpty()) {
            return found;
        }
        try (TopicHistory history = new TopicHistory(clients)) {
            for (Position position : positions) {
                TopicPartition partition = new TopicPartition(topics.tasks(position.priority()), position.partition());
                history.readWhile(Map.of(partition, position.offset()), record -> {
                    // The next record, if this one has been deleted.
                    if (record.offset() == position.offset()) {
                        keep(record, position, found);
                    }
                    return false;
                });
            }
        }
        return found;
    }

    private void keep(ConsumerRecord<byte[], byte[]> record, Position position, Map<Position, WaitingTask> found) {
        try {
            found.put(position, records.read(record));
        } catch (TaskRecords.PoisonException e) {
            log.atDebug().addKeyValue("position", position).log("No task at this position: {}", e.getMessage());
        }
    }
}

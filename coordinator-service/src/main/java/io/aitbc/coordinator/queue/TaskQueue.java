package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.trace.TraceHeader;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;

/** Appends new and retried tasks to {@code tasks.*}. */
public final class TaskQueue {
    private final Producer<String, byte[]> producer;
    private final Topics topics;

    public TaskQueue(Producer<String, byte[]> producer, Topics topics) {
        this.producer = producer;
        this.topics = topics;
    }

    /**
     * Appends a task that has an id; completes once all in-sync replicas have it.
     *
     * @param trace of the task; null if there is none
     */
    public CompletableFuture<Position> append(Task task, Priority priority, @Nullable String trace) {
        return append(task.id(), Json.bytes(task), priority, trace);
    }

    /** Appends a waiting task to its partition again. */
    public CompletableFuture<Void> appendAgain(WaitingTask waiting) {
        Position position = waiting.position();
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(
                topics.tasks(position.priority()), position.partition(), waiting.id(), Json.bytes(waiting.task()));
        TraceHeader.add(record, waiting.trace());
        return KafkaClients.send(producer, record);
    }

    /** Appends a task that is already serialized; completes with its position. */
    public CompletableFuture<Position> append(String taskId, byte[] task, Priority priority, @Nullable String trace) {
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(topics.tasks(priority), taskId, task);
        TraceHeader.add(record, trace);
        return KafkaClients.append(producer, record)
                .thenApply(appended -> new Position(priority, appended.partition(), appended.offset()));
    }
}

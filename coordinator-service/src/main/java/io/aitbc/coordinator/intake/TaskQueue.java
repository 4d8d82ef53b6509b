package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.trace.TraceHeader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;

/** The way onto {@code tasks.*}: for new tasks and for those that are tried again. */
public final class TaskQueue {
    private final Producer<String, byte[]> producer;
    private final Topics topics;

    public TaskQueue(Producer<String, byte[]> producer, Topics topics) {
        this.producer = producer;
        this.topics = topics;
    }

    /**
     * Appends a task that has its id; done once all replicas have it.
     *
     * @param trace to which it belongs; null if it belongs to none
     */
    public CompletableFuture<Void> append(Task task, Priority priority, @Nullable String trace) {
        return append(task.taskId(), Json.bytes(task), priority, trace);
    }

    /** The same for a task that has been written already. */
    CompletableFuture<Void> append(String taskId, byte[] task, Priority priority, @Nullable String trace) {
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(topics.tasks(priority), taskId, task);
        TraceHeader.add(record, trace);
        return KafkaClients.send(producer, record);
    }

    /** Appends a waiting task to the tail of the partition in which it stands, as it was first accepted. */
    public CompletableFuture<Void> putOff(WaitingTask waiting) {
        Position position = waiting.position();
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(
                topics.tasks(position.priority()), position.partition(), waiting.id(), Json.bytes(waiting.task()));
        record.headers()
                .add(TaskHeaders.ORIGIN_OFFSET, String.valueOf(waiting.origin()).getBytes(StandardCharsets.US_ASCII));
        TraceHeader.add(record, waiting.trace());
        return KafkaClients.send(producer, record);
    }
}

package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** The way onto {@code tasks.*}: for new tasks and for those that are tried again. */
public final class TaskQueue {
    private final Producer<String, byte[]> producer;
    private final Topics topics;

    public TaskQueue(Producer<String, byte[]> producer, Topics topics) {
        this.producer = producer;
        this.topics = topics;
    }

    /** Appends a task that has its id; done once all replicas have it. */
    public CompletableFuture<Void> append(Task task, Priority priority) {
        return append(task.taskId(), Json.bytes(task), priority);
    }

    /** The same for a task that has been written already. */
    CompletableFuture<Void> append(String taskId, byte[] task, Priority priority) {
        return KafkaClients.send(producer, new ProducerRecord<>(topics.tasks(priority), taskId, task));
    }

    /** Appends a waiting task to the tail of the partition in which it stands, as it was first accepted. */
    public CompletableFuture<Void> putOff(WaitingTask waiting) {
        Position position = waiting.position();
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(
                topics.tasks(position.priority()), position.partition(), waiting.id(), Json.bytes(waiting.task()));
        record.headers()
                .add(TaskHeaders.ORIGIN_OFFSET, String.valueOf(waiting.origin()).getBytes(StandardCharsets.US_ASCII));
        return KafkaClients.send(producer, record);
    }
}

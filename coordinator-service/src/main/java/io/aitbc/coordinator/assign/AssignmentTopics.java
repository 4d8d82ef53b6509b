package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Puts assignments into their agents' topics. */
public final class AssignmentTopics implements AutoCloseable {
    private final Producer<String, byte[]> producer;
    private final Topics topics;

    public AssignmentTopics(Producer<String, byte[]> producer, Topics topics) {
        this.producer = producer;
        this.topics = topics;
    }

    /** Publishes an assignment of the verdict's attempt to the agent that holds it; done once all replicas have it. */
    public CompletableFuture<Void> publish(Verdict verdict) {
        var waiting = verdict.placement().waiting();
        Assignment assignment =
                Assignment.of(waiting.task(), waiting.position().priority(), verdict.agentId(), verdict.assignedAt());
        return send(verdict.agentId(), assignment.taskId(), Json.bytes(assignment));
    }

    /** Tells an agent that it need not go on. */
    CompletableFuture<Void> publish(Cancellation cancellation) {
        return send(cancellation.agentId(), cancellation.taskId(), Json.bytes(cancellation));
    }

    private CompletableFuture<Void> send(String agentId, String taskId, byte[] value) {
        return KafkaClients.send(producer, new ProducerRecord<>(topics.assignments(agentId), taskId, value));
    }

    @Override
    public void close() {
        producer.close(Duration.ofSeconds(2));
    }
}

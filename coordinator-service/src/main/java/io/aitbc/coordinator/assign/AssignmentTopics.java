package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import org.apache.kafka.clients.producer.Callback;
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

    /** Publishes an assignment of the verdict's attempt to the agent that holds it. */
    public void publish(Verdict verdict, Callback done) {
        var waiting = verdict.placement().waiting();
        Assignment assignment =
                Assignment.of(waiting.task(), waiting.position().priority(), verdict.agentId(), verdict.assignedAt());
        producer.send(
                new ProducerRecord<>(
                        topics.assignments(verdict.agentId()), assignment.taskId(), Json.bytes(assignment)),
                done);
    }

    @Override
    public void close() {
        producer.close(java.time.Duration.ofSeconds(2));
    }
}

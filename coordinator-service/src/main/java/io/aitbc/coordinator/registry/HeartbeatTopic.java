package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.security.Signatures;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Publishes registrations and status changes made over REST to {@code agents.heartbeat}, from which a lost registry is restored. */
public final class HeartbeatTopic {
    private static final Logger log = LoggerFactory.getLogger(HeartbeatTopic.class);

    private static final byte[] CHANGE = "coordinator".getBytes(StandardCharsets.UTF_8);
    private static final byte[] COPY = "coordinator-copy".getBytes(StandardCharsets.UTF_8);

    private final Producer<String, byte[]> producer;
    private final Topics topics;
    private final Signatures signatures;

    HeartbeatTopic(Producer<String, byte[]> producer, Topics topics, Signatures signatures) {
        this.signatures = signatures;
        this.producer = producer;
        this.topics = topics;
    }

    /** Whether a heartbeat was sent by the agent itself. */
    static boolean isFromAgent(ConsumerRecord<?, ?> record) {
        return record.headers().lastHeader(TaskHeaders.RECORDED_BY) == null;
    }

    /** Whether a heartbeat only repeats what the registry held, for a later rebuild: it may be older than the registry. */
    static boolean isCopy(ConsumerRecord<?, ?> record) {
        Header header = record.headers().lastHeader(TaskHeaders.RECORDED_BY);
        return header != null && Arrays.equals(header.value(), COPY);
    }

    /** Repeats a registration that the registry holds, so that a rebuild finds an agent whose own heartbeats arrive over REST. */
    public CompletableFuture<Void> appendCopy(Registration registration) {
        return append(Heartbeat.of(registration), COPY);
    }

    /** Completes once Kafka has acknowledged it, or has failed, which is logged. Callers need not wait: it is already recorded. */
    public CompletableFuture<Void> append(Heartbeat heartbeat) {
        return append(heartbeat, CHANGE);
    }

    private CompletableFuture<Void> append(Heartbeat heartbeat, byte[] recordedBy) {
        ProducerRecord<String, byte[]> record =
                new ProducerRecord<>(topics.heartbeats(), heartbeat.agentId(), Json.bytes(heartbeat));
        record.headers().add(TaskHeaders.RECORDED_BY, recordedBy);
        signatures.sign(record);
        return KafkaClients.send(producer, record).exceptionally(failure -> {
            log.atWarn()
                    .addKeyValue("agent_id", heartbeat.agentId())
                    .log("Could not append to the heartbeat topic: {}", failure.toString());
            return null;
        });
    }
}

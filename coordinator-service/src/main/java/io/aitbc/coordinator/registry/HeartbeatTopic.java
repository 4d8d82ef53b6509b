package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Puts what was said over REST of an agent's registration and status onto {@code agents.heartbeat}, where a lost registry is found. */
public final class HeartbeatTopic {
    private static final Logger log = LoggerFactory.getLogger(HeartbeatTopic.class);

    private final Producer<String, byte[]> producer;
    private final Topics topics;

    HeartbeatTopic(Producer<String, byte[]> producer, Topics topics) {
        this.producer = producer;
        this.topics = topics;
    }

    /** Done once Kafka has it, or it is known that it has not, which is logged. Nobody need wait: it is noted already. */
    public CompletableFuture<Void> append(Heartbeat heartbeat) {
        return KafkaClients.send(
                        producer, new ProducerRecord<>(topics.heartbeats(), heartbeat.agentId(), Json.bytes(heartbeat)))
                .exceptionally(failure -> {
                    log.atWarn()
                            .addKeyValue("agent_id", heartbeat.agentId())
                            .log("What REST said of it is not on the topic of heartbeats: {}", failure.toString());
                    return null;
                });
    }
}

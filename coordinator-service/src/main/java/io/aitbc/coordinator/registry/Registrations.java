package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Puts what was registered over REST onto {@code agents.heartbeat} too, where a lost registry is found again. */
public final class Registrations {
    private static final Logger log = LoggerFactory.getLogger(Registrations.class);

    private final Producer<String, byte[]> producer;
    private final Topics topics;

    Registrations(Producer<String, byte[]> producer, Topics topics) {
        this.producer = producer;
        this.topics = topics;
    }

    /** Returns at once: the agent is registered already. */
    public void announce(Registration registration) {
        KafkaClients.send(
                        producer,
                        new ProducerRecord<>(
                                topics.heartbeats(), registration.agentId(), Json.bytes(Heartbeat.of(registration))))
                .exceptionally(failure -> {
                    log.atWarn()
                            .addKeyValue("agent_id", registration.agentId())
                            .log("Its registration is not on the topic of heartbeats: {}", failure.toString());
                    return null;
                });
    }
}

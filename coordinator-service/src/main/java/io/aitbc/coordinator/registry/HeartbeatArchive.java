package io.aitbc.coordinator.registry;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicHistory;
import io.aitbc.coordinator.security.Signatures;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Replays recent heartbeats from {@code agents.heartbeat} after the registry has been lost. */
public final class HeartbeatArchive {
    private static final Logger log = LoggerFactory.getLogger(HeartbeatArchive.class);

    /** Replay period if agents never become stale. */
    private static final Duration DEFAULT_SPAN = Duration.ofHours(1);

    private final KafkaClients clients;
    private final Topics topics;
    private final Registry registry;
    private final Signatures signatures;

    HeartbeatArchive(KafkaClients clients, Topics topics, Registry registry, Signatures signatures) {
        this.signatures = signatures;
        this.clients = clients;
        this.topics = topics;
        this.registry = registry;
    }

    /**
     * Re-registers the agents that registered, and have not deregistered, within the heartbeat timeout.
     *
     * @return the number of these agents
     */
    public int replay(Instant now) throws InterruptedException {
        Duration span = registry.healthPolicy().expectsHeartbeats()
                ? registry.healthPolicy().heartbeatTimeout()
                : DEFAULT_SPAN;
        Map<String, Registry.Received> newest = new HashMap<>();
        try (TopicHistory history = new TopicHistory(clients)) {
            history.read(
                    history.since(history.partitions(topics.heartbeats()), now.minus(span)),
                    record -> take(record, newest));
        }
        List<Registry.Received> existing = newest.values().stream()
                .filter(last -> last.heartbeat().registration() != null
                        && last.heartbeat().status() != AgentStatus.INACTIVE)
                .toList();
        registry.recordHeartbeats(existing, now);
        return existing.size();
    }

    private void take(ConsumerRecord<byte[], byte[]> record, Map<String, Registry.Received> newest) {
        try {
            Heartbeat heartbeat = Json.read(record.value() == null ? new byte[0] : record.value(), Heartbeat.class);
            if (!signatures.accepts(record, heartbeat)) {
                return;
            }
            Instant at = Instant.ofEpochMilli(record.timestamp());
            newest.merge(
                    heartbeat.agentId(),
                    new Registry.Received(heartbeat, at, HeartbeatTopic.isFromAgent(record)),
                    (before, last) -> new Registry.Received(
                            merge(before.heartbeat(), last.heartbeat()),
                            last.at(),
                            before.overKafka() || last.overKafka()));
        } catch (Json.MalformedMessageException e) {
            log.atTrace().log("Skipped a record that was dead-lettered on arrival: {}", e.getMessage());
        }
    }

    /** Merges two heartbeats: the latest value of each field. A registration brings an inactive agent back. */
    private static Heartbeat merge(Heartbeat before, Heartbeat last) {
        boolean returns = before.status() == AgentStatus.INACTIVE && last.registration() != null;
        AgentStatus status = last.status() != null ? last.status() : returns ? null : before.status();
        Registration registration = last.registration() != null ? last.registration() : before.registration();
        return new Heartbeat(
                last.agentId(),
                status,
                last.loadMetrics() != null ? last.loadMetrics() : before.loadMetrics(),
                last.sentAt(),
                last.instanceId(),
                registration);
    }
}

package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.intake.DeadLetters;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.utils.Utils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads {@code agents.heartbeat}, and watches over the agents whose heartbeats come in the partitions that it owns. */
public final class HeartbeatLoop implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(HeartbeatLoop.class);
    private static final Duration LOOK_FOR_SILENT_EVERY = Duration.ofSeconds(1);

    private final Registry registry;
    private final DeadLetters deadLetters;
    private final Topics topics;
    private final int partitions;
    private final Clock clock;
    private final ConsumerLoop loop;
    private volatile Set<Integer> owned = Set.of();
    private Consumer<byte[], byte[]> consumer;
    private Instant nextLook = Instant.EPOCH;

    public HeartbeatLoop(
            KafkaClients clients,
            Topics topics,
            int partitions,
            Registry registry,
            DeadLetters deadLetters,
            Clock clock) {
        this.registry = registry;
        this.deadLetters = deadLetters;
        this.topics = topics;
        this.partitions = partitions;
        this.clock = clock;
        this.loop = new ConsumerLoop("heartbeats", () -> open(clients), this::handle, true);
    }

    public void start() {
        loop.start();
    }

    @Override
    public void close() {
        loop.close();
    }

    /** Whether it is on this coordinator to watch over an agent. */
    public boolean owns(String agentId) {
        // The partitioner of Kafka's own clients, which puts a key into a partition.
        int hash = Utils.toPositive(Utils.murmur2(agentId.getBytes(StandardCharsets.UTF_8)));
        return owned.contains(hash % partitions);
    }

    private Consumer<byte[], byte[]> open(KafkaClients clients) {
        KafkaConsumer<byte[], byte[]> opened =
                clients.groupConsumer(topics.prefix() + "agent-coordinator.heartbeats", Map.of());
        opened.subscribe(List.of(topics.heartbeats()));
        consumer = opened;
        return opened;
    }

    private void handle(ConsumerRecords<byte[], byte[]> records) throws InterruptedException {
        owned = consumer.assignment().stream().map(TopicPartition::partition).collect(Collectors.toSet());
        Instant now = clock.instant();
        if (!records.isEmpty()) {
            note(records, now);
        }
        if (!now.isBefore(nextLook)) {
            nextLook = now.plus(LOOK_FOR_SILENT_EVERY);
            findSilent(now);
        }
    }

    private void note(ConsumerRecords<byte[], byte[]> records, Instant now) throws InterruptedException {
        Map<String, ConsumerRecord<byte[], byte[]>> origins = new LinkedHashMap<>();
        Map<String, Heartbeat> newest = new LinkedHashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            if (isOld(record, now)) {
                continue;
            }
            try {
                Heartbeat heartbeat = Json.read(record.value() == null ? new byte[0] : record.value(), Heartbeat.class);
                newest.merge(heartbeat.agentId(), heartbeat, HeartbeatLoop::merged);
                origins.put(heartbeat.agentId(), record);
            } catch (Json.MalformedMessageException e) {
                deadLetters.poison(record, "malformed", e.getMessage()).join();
            }
        }
        List<Heartbeat> heartbeats = new ArrayList<>(newest.values());
        try {
            report(heartbeats, registry.note(heartbeats, now));
        } catch (InvalidTopicException e) {
            // One of them has a name that Kafka does not take: find out which.
            for (Heartbeat heartbeat : heartbeats) {
                try {
                    registry.note(List.of(heartbeat), now);
                } catch (InvalidTopicException refused) {
                    deadLetters
                            .poison(origins.get(heartbeat.agentId()), "malformed", refused.getMessage())
                            .join();
                }
            }
        }
    }

    /** Heartbeats that waited while no coordinator ran say nothing of now. */
    private boolean isOld(ConsumerRecord<byte[], byte[]> record, Instant now) {
        return Duration.between(Instant.ofEpochMilli(record.timestamp()), now)
                        .compareTo(registry.healthPolicy().heartbeatTimeout())
                > 0;
    }

    /** Of two heartbeats the newer counts, but what only the older said is kept. */
    private static Heartbeat merged(Heartbeat older, Heartbeat newer) {
        return new Heartbeat(
                newer.agentId(),
                newer.status() == null ? older.status() : newer.status(),
                newer.loadMetrics() == null ? older.loadMetrics() : newer.loadMetrics(),
                newer.sentAt(),
                newer.registration() == null ? older.registration() : newer.registration());
    }

    private static void report(List<Heartbeat> heartbeats, List<Boolean> known) {
        for (int i = 0; i < heartbeats.size(); i++) {
            if (!known.get(i)) {
                log.atDebug()
                        .addKeyValue("agent_id", heartbeats.get(i).agentId())
                        .log("Heartbeat of an agent that is not registered");
            }
        }
    }

    private void findSilent(Instant now) {
        for (String agentId : registry.silent(now)) {
            if (owns(agentId) && registry.markStale(agentId, now)) {
                log.atInfo().addKeyValue("agent_id", agentId).log("Agent is stale");
            }
        }
    }
}

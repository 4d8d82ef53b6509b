package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.background.Pace;
import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.RareWarning;
import io.aitbc.coordinator.intake.DeadLetters;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads {@code agents.heartbeat}, and watches over the agents whose heartbeats come in the partitions that it owns. */
public final class HeartbeatLoop implements Part {
    private static final Logger log = LoggerFactory.getLogger(HeartbeatLoop.class);
    private static final Duration LOOK_FOR_SILENT_EVERY = Duration.ofSeconds(1);
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    private final Registry registry;
    private final DeadLetters deadLetters;
    private final Topics topics;
    private final int partitions;
    private final Counter lost;
    private final Clock clock;
    private final ConsumerLoop loop;
    /** How far each partition went at the last look for silent agents, for those that have not been read so far. */
    private final Map<TopicPartition, Long> unheard = new HashMap<>();

    private final RareWarning refused =
            new RareWarning(log, "{} heartbeats of agents whose topics Kafka does not let us make: {}");
    private final RareWarning unknown =
            new RareWarning(log, "{} heartbeats ignored, of agents that are not registered: {}");
    private final RareWarning contested = new RareWarning(
            log, "{} heartbeats by which two processes go by one agent id, so that each gets half the work: {}");
    private volatile Set<Integer> owned = Set.of();
    private Consumer<byte[], byte[]> consumer;
    private final Pace looks = new Pace(LOOK_FOR_SILENT_EVERY);
    /** When the look began whose outcome depends on what is unheard. */
    private @Nullable Instant lookingSince;
    /** Since when Kafka answers, and agents can be heard. */
    private @Nullable Instant hearingSince;

    public HeartbeatLoop(
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            int partitions,
            Registry registry,
            DeadLetters deadLetters,
            MeterRegistry meters,
            Clock clock) {
        this.registry = registry;
        this.deadLetters = deadLetters;
        this.lost = Counter.builder("coordinator.agents.lost")
                .description("Agents that went silent for longer than the timeout, and became stale")
                .register(meters);
        this.topics = topics;
        this.partitions = partitions;
        this.clock = clock;
        this.loop = new ConsumerLoop(
                "heartbeats",
                new ConsumerLoop.Source(
                        () -> shared.id(topics.heartbeats()), () -> newConsumer(clients, topics), this::begin),
                this::handle,
                false,
                () -> {});
    }

    @Override
    public void start() {
        loop.start();
    }

    @Override
    public void close() {
        loop.close();
    }

    @Override
    public List<String> troubles() {
        return loop.troubles();
    }

    /** Whether it is on this coordinator to watch over an agent. */
    public boolean owns(String agentId) {
        // The partitioner of Kafka's own clients, which puts a key into a partition.
        int hash = Utils.toPositive(Utils.murmur2(agentId.getBytes(StandardCharsets.UTF_8)));
        return owned.contains(hash % partitions);
    }

    private static Consumer<byte[], byte[]> newConsumer(KafkaClients clients, Topics topics) {
        return clients.groupConsumer(
                topics.prefix() + "agent-coordinator.heartbeats",
                // Many at once cost much less, and nobody notices when a heartbeat counts a little later. One that is
                // read
                // again, because it was not committed yet, is known by its time.
                Map.of(
                        // A heartbeat tells that its sender lives, whatever becomes of the transaction around it.
                        // Waiting for that
                        // would let one client that hangs make all others look silent.
                        ConsumerConfig.ISOLATION_LEVEL_CONFIG,
                        IsolationLevel.READ_UNCOMMITTED.toString(),
                        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG,
                        true,
                        ConsumerConfig.AUTO_COMMIT_INTERVAL_MS_CONFIG,
                        1_000,
                        ConsumerConfig.FETCH_MIN_BYTES_CONFIG,
                        256 * 1024,
                        ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG,
                        250));
    }

    private void begin(Consumer<byte[], byte[]> opened, ConsumerRebalanceListener gained) {
        consumer = opened;
        // Nobody was heard without a consumer, as while the topic was missing.
        owned = Set.of();
        hearingSince = null;
        lookingSince = null;
        unheard.clear();
        opened.subscribe(List.of(topics.heartbeats()), gained);
    }

    private void handle(ConsumerRecords<byte[], byte[]> records) throws InterruptedException {
        try {
            Instant now = clock.instant();
            own(consumer.assignment());
            if (!records.isEmpty()) {
                note(records, now);
            }
            lookForSilent(now);
        } catch (RuntimeException e) {
            // What came meanwhile has to be heard before anyone counts as silent.
            owned = Set.of();
            throw e;
        }
    }

    private void own(Set<TopicPartition> assigned) {
        Set<Integer> now = assigned.stream().map(TopicPartition::partition).collect(Collectors.toSet());
        if (!now.equals(owned)) {
            unheard.clear();
            lookingSince = null;
            owned = now;
        }
    }

    /**
     * An agent is silent if it is once all has been read that Kafka had at the time: this coordinator may have stood still, or its
     * partitions been another's. And if Kafka itself was away, agents get the time to speak again.
     */
    private void lookForSilent(Instant now) {
        if (lookingSince == null && looks.isDue()) {
            try {
                unheard.putAll(consumer.endOffsets(consumer.assignment(), PATIENCE));
                lookingSince = now;
                hearingSince = hearingSince == null || now.isBefore(hearingSince) ? clock.instant() : hearingSince;
            } catch (RetriableException e) {
                log.atDebug().log("Kafka does not answer: {}", e.toString());
                hearingSince = null;
            }
            refused.say(now);
            unknown.say(now);
            contested.say(now);
        }
        unheard.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
        if (lookingSince != null && unheard.isEmpty()) {
            if (!lookingSince.isBefore(hearingSince.plus(registry.healthPolicy().heartbeatInterval()))) {
                findSilent(lookingSince);
            }
            lookingSince = null;
        }
    }

    private void note(ConsumerRecords<byte[], byte[]> records, Instant now) throws InterruptedException {
        List<Spoken> spoken = new ArrayList<>();
        Map<Speaker, Spoken> newest = new LinkedHashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            Instant at = receivedAt(record, now);
            if (isOld(at, now)) {
                continue;
            }
            try {
                Heartbeat heartbeat = Json.read(record.value() == null ? new byte[0] : record.value(), Heartbeat.class);
                Speaker speaker = new Speaker(heartbeat.agentId(), heartbeat.instanceId());
                Spoken one = new Spoken(heartbeat, at, record);
                Spoken before = newest.remove(speaker);
                if (before != null && before.heartbeat.status() != null) {
                    // It may have left and come back.
                    spoken.add(before);
                } else if (before != null) {
                    one = before.after(one);
                }
                newest.put(speaker, one);
            } catch (Json.MalformedMessageException e) {
                deadLetters.poison(record, "malformed", e.getMessage()).join();
            }
        }
        spoken.addAll(newest.values());
        try {
            note(spoken, now);
        } catch (RetriableException e) {
            throw e;
        } catch (KafkaException e) {
            // The topic of one of them cannot be made: find out which, for all the others.
            for (Spoken one : spoken) {
                noteAlone(one, now);
            }
        }
    }

    private void noteAlone(Spoken one, Instant now) throws InterruptedException {
        try {
            note(List.of(one), now);
        } catch (InvalidTopicException e) {
            deadLetters.poison(one.record, "malformed", e.getMessage()).join();
        } catch (RetriableException e) {
            throw e;
        } catch (KafkaException e) {
            log.atDebug().addKeyValue("agent_id", one.heartbeat.agentId()).log("Not registered: {}", e.toString());
            refused.about(one.heartbeat.agentId());
        }
    }

    private void note(List<Spoken> spoken, Instant now) throws InterruptedException {
        List<Registry.Noted> noted =
                registry.note(spoken.stream().map(Spoken::received).toList(), now);
        for (int i = 0; i < spoken.size(); i++) {
            String agentId = spoken.get(i).heartbeat.agentId();
            switch (noted.get(i)) {
                case UNKNOWN -> unknown.about(agentId);
                case CONTESTED -> contested.about(agentId);
                case KNOWN, LEAVING ->
                    log.atTrace().addKeyValue("agent_id", agentId).log("Heartbeat");
            }
        }
    }

    /** Kafka's clock, not the agent's; where Kafka was told to keep the agent's, the time at which it is read. */
    private static Instant receivedAt(ConsumerRecord<byte[], byte[]> record, Instant now) {
        Instant appended = Instant.ofEpochMilli(record.timestamp());
        return record.timestampType() == TimestampType.LOG_APPEND_TIME && appended.isBefore(now) ? appended : now;
    }

    /** Heartbeats that waited while no coordinator ran say nothing of now. */
    private boolean isOld(Instant at, Instant now) {
        HealthPolicy policy = registry.healthPolicy();
        return policy.expectsHeartbeats() && Duration.between(at, now).compareTo(policy.heartbeatTimeout()) > 0;
    }

    /** One process of an agent. */
    private record Speaker(String agentId, @Nullable String instanceId) {}

    private record Spoken(Heartbeat heartbeat, Instant at, ConsumerRecord<byte[], byte[]> record) {
        Registry.Received received() {
            return new Registry.Received(heartbeat, at);
        }

        /** Of two heartbeats the newer counts, but what only the older said, which said nothing of its status, is kept. */
        Spoken after(Spoken newer) {
            Heartbeat said = newer.heartbeat;
            return new Spoken(
                    new Heartbeat(
                            said.agentId(),
                            said.status(),
                            said.loadMetrics() == null ? heartbeat.loadMetrics() : said.loadMetrics(),
                            said.sentAt(),
                            said.instanceId(),
                            said.registration() == null ? heartbeat.registration() : said.registration()),
                    newer.at,
                    newer.record);
        }
    }

    private void findSilent(Instant heardUntil) {
        for (String agentId : registry.silent(heardUntil)) {
            if (owns(agentId) && registry.markStale(agentId, heardUntil, clock.instant())) {
                lost.increment();
                log.atInfo().addKeyValue("agent_id", agentId).log("Agent is stale");
            }
        }
    }
}

package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.security.Signatures;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
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
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Polls {@code agents.heartbeat}, and monitors the agents whose heartbeats arrive in the partitions that it owns. */
public final class HeartbeatLoop implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(HeartbeatLoop.class);
    private static final Duration SILENCE_CHECK_INTERVAL = Duration.ofSeconds(1);
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(2);

    private final Registry registry;
    private final DeadLetters deadLetters;
    private final Topics topics;
    private final int partitions;
    private final Signatures signatures;
    private final Counter lost;
    private final Counter refused;
    private final Clock clock;
    private final ConsumerLoop loop;
    /** End offsets at the last check for silent agents, of partitions not yet read that far. */
    private final Map<TopicPartition, Long> unreadEnds = new HashMap<>();

    private final ThrottledWarning topicNotCreated =
            new ThrottledWarning(log, "{} heartbeats from agents whose topics cannot be created: {}");
    private final ThrottledWarning unknown =
            new ThrottledWarning(log, "{} heartbeats from unregistered agents ignored: {}");
    private final ThrottledWarning contested = new ThrottledWarning(
            log, "{} heartbeats from two processes with the same agent id, which must be unique: {}");
    private final ThrottledWarning withoutKey = new ThrottledWarning(
            log, "{} heartbeats refused, because their api-key header is missing or not that of their agent: {}");
    private volatile Set<Integer> owned = Set.of();
    private Consumer<byte[], byte[]> consumer;
    private final RateLimiter silenceCheckLimiter = new RateLimiter(SILENCE_CHECK_INTERVAL);
    /** Start of the check that waits for the unread partitions. */
    private @Nullable Instant checkStartedAt;
    /** Since when Kafka has been answering, so that heartbeats can be read. */
    private @Nullable Instant kafkaAvailableSince;

    @SuppressWarnings("NullAway.Init") // The loop opens the consumer before it calls anything that uses it.
    public HeartbeatLoop(
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            int partitions,
            Registry registry,
            DeadLetters deadLetters,
            Signatures signatures,
            MeterRegistry meters,
            Clock clock) {
        this.registry = registry;
        this.deadLetters = deadLetters;
        this.signatures = signatures;
        this.refused = Counter.builder("coordinator.heartbeats.refused")
                .description(
                        "Heartbeats over Kafka that were refused because they had no key, or not that of their agent")
                .register(meters);
        this.lost = Counter.builder("coordinator.agents.lost")
                .description("Agents that became stale because they were silent for longer than the heartbeat timeout")
                .register(meters);
        this.topics = topics;
        this.partitions = partitions;
        this.clock = clock;
        this.loop = new ConsumerLoop(
                "heartbeats",
                new ConsumerLoop.Source(
                        () -> shared.id(topics.heartbeats()), () -> newConsumer(clients, topics), this::begin),
                this::handle);
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
    public List<Problem> problems() {
        return loop.problems();
    }

    /** Whether this coordinator monitors an agent. */
    public boolean owns(String agentId) {
        return owned.contains(KafkaClients.partition(agentId, partitions));
    }

    private static Consumer<byte[], byte[]> newConsumer(KafkaClients clients, Topics topics) {
        return clients.groupConsumer(
                topics.prefix() + "agent-coordinator.heartbeats",
                // Large batches cost much less, and a small delay of a heartbeat does not matter. A heartbeat read
                // again before it was committed is recognized by its time.
                Map.of(
                        // A heartbeat proves that its sender is alive, whatever becomes of the surrounding transaction.
                        // With read_committed, one hanging client would make all others look silent.
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
        // Without a consumer, as while the topic was missing, no heartbeat could be read.
        owned = Set.of();
        kafkaAvailableSince = null;
        checkStartedAt = null;
        unreadEnds.clear();
        opened.subscribe(List.of(topics.heartbeats()), gained);
    }

    private void handle(ConsumerRecords<byte[], byte[]> records) throws InterruptedException {
        try {
            Instant now = clock.instant();
            own(consumer.assignment());
            if (!records.isEmpty()) {
                process(records, now);
            }
            checkSilence(now);
        } catch (RuntimeException e) {
            // Records that arrived meanwhile must be read before any agent counts as silent.
            owned = Set.of();
            throw e;
        }
    }

    private void own(Set<TopicPartition> assigned) {
        Set<Integer> now = assigned.stream().map(TopicPartition::partition).collect(Collectors.toSet());
        if (!now.equals(owned)) {
            unreadEnds.clear();
            checkStartedAt = null;
            owned = now;
        }
    }

    /**
     * Marks silent agents stale, but only after reading everything that Kafka had when the check began: this coordinator may have been
     * paused, or its partitions owned by another. After an outage of Kafka itself, agents get time to send a heartbeat first.
     */
    private void checkSilence(Instant now) {
        if (checkStartedAt == null && silenceCheckLimiter.tryAcquire()) {
            try {
                unreadEnds.putAll(consumer.endOffsets(consumer.assignment(), REQUEST_TIMEOUT));
                checkStartedAt = now;
                kafkaAvailableSince = kafkaAvailableSince == null || now.isBefore(kafkaAvailableSince)
                        ? clock.instant()
                        : kafkaAvailableSince;
            } catch (RetriableException e) {
                log.atDebug().log("Kafka does not answer: {}", e.toString());
                kafkaAvailableSince = null;
            }
            topicNotCreated.flush(now);
            unknown.flush(now);
            contested.flush(now);
            withoutKey.flush(now);
        }
        unreadEnds.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
        if (checkStartedAt != null && kafkaAvailableSince != null && unreadEnds.isEmpty()) {
            if (!checkStartedAt.isBefore(
                    kafkaAvailableSince.plus(registry.healthPolicy().heartbeatInterval()))) {
                markSilentStale(checkStartedAt);
            }
            checkStartedAt = null;
        }
    }

    private void process(ConsumerRecords<byte[], byte[]> records, Instant now) throws InterruptedException {
        List<ReceivedHeartbeat> heartbeats = new ArrayList<>();
        Map<AgentInstance, ReceivedHeartbeat> newest = new LinkedHashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            Instant at = receivedAt(record, now);
            if (isOld(at, now) || HeartbeatTopic.isCopy(record)) {
                continue;
            }
            try {
                Heartbeat heartbeat = Json.read(record.value() == null ? new byte[0] : record.value(), Heartbeat.class);
                if (!signatures.accepts(record, heartbeat)) {
                    refused.increment();
                    withoutKey.add(heartbeat.agentId());
                    continue;
                }
                AgentInstance instance = new AgentInstance(heartbeat.agentId(), heartbeat.instanceId());
                ReceivedHeartbeat one =
                        new ReceivedHeartbeat(heartbeat, at, HeartbeatTopic.isFromAgent(record), record);
                ReceivedHeartbeat before = newest.remove(instance);
                if (before != null && before.heartbeat.status() != null) {
                    // It may have deregistered and come back.
                    heartbeats.add(before);
                } else if (before != null) {
                    one = before.after(one);
                }
                newest.put(instance, one);
            } catch (Json.MalformedMessageException e) {
                deadLetters
                        .poison(record, "malformed", String.valueOf(e.getMessage()))
                        .join();
            }
        }
        heartbeats.addAll(newest.values());
        try {
            process(heartbeats, now);
        } catch (RetriableException e) {
            throw e;
        } catch (KafkaException e) {
            // The topic of one of them cannot be created: process one by one, so that the others succeed.
            for (ReceivedHeartbeat one : heartbeats) {
                processOne(one, now);
            }
        }
    }

    private void processOne(ReceivedHeartbeat one, Instant now) throws InterruptedException {
        try {
            process(List.of(one), now);
        } catch (InvalidTopicException e) {
            deadLetters
                    .poison(one.record, "malformed", String.valueOf(e.getMessage()))
                    .join();
        } catch (RetriableException e) {
            throw e;
        } catch (KafkaException e) {
            log.atDebug().addKeyValue("agent_id", one.heartbeat.agentId()).log("Registration failed: {}", e.toString());
            topicNotCreated.add(one.heartbeat.agentId());
        }
    }

    private void process(List<ReceivedHeartbeat> heartbeats, Instant now) throws InterruptedException {
        List<Registry.HeartbeatOutcome> outcomes = registry.recordHeartbeats(
                heartbeats.stream().map(ReceivedHeartbeat::received).toList(), now);
        for (int i = 0; i < heartbeats.size(); i++) {
            String agentId = heartbeats.get(i).heartbeat.agentId();
            switch (outcomes.get(i)) {
                case UNKNOWN -> unknown.add(agentId);
                case CONTESTED -> contested.add(agentId);
                case KNOWN, LEAVING ->
                    log.atTrace().addKeyValue("agent_id", agentId).log("Heartbeat");
            }
        }
    }

    /** The broker's timestamp, not the agent's; the time of reading if the topic uses CreateTime. */
    private static Instant receivedAt(ConsumerRecord<byte[], byte[]> record, Instant now) {
        Instant appended = Instant.ofEpochMilli(record.timestamp());
        return record.timestampType() == TimestampType.LOG_APPEND_TIME && appended.isBefore(now) ? appended : now;
    }

    /** Whether a heartbeat is outdated, such as one that waited while no coordinator ran. */
    private boolean isOld(Instant at, Instant now) {
        HealthPolicy policy = registry.healthPolicy();
        return policy.expectsHeartbeats() && Duration.between(at, now).compareTo(policy.heartbeatTimeout()) > 0;
    }

    /** One process of an agent. */
    private record AgentInstance(String agentId, @Nullable String instanceId) {}

    private record ReceivedHeartbeat(
            Heartbeat heartbeat, Instant at, boolean overKafka, ConsumerRecord<byte[], byte[]> record) {
        Registry.Received received() {
            return new Registry.Received(heartbeat, at, overKafka);
        }

        /** Merges with a newer heartbeat, which wins; fields that only the older one had are kept, except its status. */
        ReceivedHeartbeat after(ReceivedHeartbeat newer) {
            Heartbeat latest = newer.heartbeat;
            return new ReceivedHeartbeat(
                    new Heartbeat(
                            latest.agentId(),
                            latest.status(),
                            latest.loadMetrics() == null ? heartbeat.loadMetrics() : latest.loadMetrics(),
                            latest.sentAt(),
                            latest.instanceId(),
                            latest.registration() == null ? heartbeat.registration() : latest.registration()),
                    newer.at,
                    overKafka || newer.overKafka,
                    newer.record);
        }
    }

    private void markSilentStale(Instant heardUntil) {
        for (String agentId : registry.silentAgents(heardUntil)) {
            if (owns(agentId) && registry.markStale(agentId, heardUntil, clock.instant())) {
                lost.increment();
                log.atInfo().addKeyValue("agent_id", agentId).log("Agent is stale");
            }
        }
    }
}

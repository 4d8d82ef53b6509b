package io.aitbc.coordinator.delivery;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.trace.TraceHeader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Polls {@code assignments.shared}, and puts the assignments into the outboxes of their agents in Redis. Its committed offsets are the
 * first ones that are not settled, so that outboxes can be refilled from there after Redis was emptied.
 */
public final class DeliveryLoop implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(DeliveryLoop.class);
    private static final Script DELIVER = Script.load(DeliveryLoop.class, "deliver");

    private static final int MAX_BATCH = 250;
    private static final int MAX_BATCH_CHARACTERS = 4 * 1024 * 1024;
    private static final Duration CHECK_INTERVAL = Duration.ofSeconds(2);
    /** Expiry of an outbox. No attempt lives longer without progress. */
    static final Duration RETENTION = Duration.ofDays(4);

    private final SharedTopics shared;
    private final Topics topics;
    private final Redis redis;
    private final ConsumerLoop loop;
    private final RateLimiter checkLimiter = new RateLimiter(CHECK_INTERVAL);
    /** By offset: the assignments that are not settled, as far as known. */
    private final Map<TopicPartition, TreeMap<Long, Attempt>> unsettled = new HashMap<>();
    /**
     * Whether Redis was rebuilt lately. A rebuild searches twice for live attempts: until the second search is over, no assignment counts as
     * settled. Unsettled assignments are read again at the beginning and at the end of this time.
     */
    private boolean restored;

    private boolean mustReread;
    private Consumer<byte[], byte[]> consumer;

    private record Attempt(String agentId, String taskId, int attempt) {}

    /** @param body the assignment as JSON; empty to check only whether its attempt is live */
    private record Delivery(TopicPartition partition, long offset, Attempt attempt, String body) {}

    @SuppressWarnings("NullAway.Init") // The loop opens the consumer before it calls anything that uses it.
    DeliveryLoop(KafkaClients clients, SharedTopics shared, Topics topics, Redis redis) {
        this.shared = shared;
        this.topics = topics;
        this.redis = redis;
        this.loop = new ConsumerLoop(
                "delivery",
                new ConsumerLoop.Source(
                        () -> shared.id(topics.sharedAssignments()),
                        () -> clients.groupConsumer(topics.deliveryGroup(), Map.of()),
                        this::begin),
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

    private void begin(Consumer<byte[], byte[]> opened, ConsumerRebalanceListener gained) {
        consumer = opened;
        unsettled.clear();
        opened.subscribe(List.of(topics.sharedAssignments()), gained);
    }

    private void handle(ConsumerRecords<byte[], byte[]> records) {
        unsettled.keySet().retainAll(consumer.assignment());
        List<Delivery> deliveries = new ArrayList<>();
        Set<String> cancelledAt = new HashSet<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            read(record, deliveries, cancelledAt);
        }
        deliver(deliveries);
        // After the deliveries: a cancelled assignment may be among them.
        cancelledAt.forEach(agentId -> redis.async().publish(redis.channel(Keys.DELIVERIES), agentId));
        if (checkLimiter.tryAcquire()) {
            deliverBatch(List.of());
            deliver(unsettledAttempts());
            if (mustReread) {
                mustReread = false;
                reread();
            }
            commit();
        }
    }

    private static void read(
            ConsumerRecord<byte[], byte[]> record, List<Delivery> deliveries, Set<String> cancelledAt) {
        try {
            JsonNode message = Json.read(record.value() == null ? new byte[0] : record.value(), JsonNode.class);
            if (message.path("type").asString("").equals(Cancellation.TYPE)) {
                cancelledAt.add(Json.read(message, Cancellation.class).agentId());
                return;
            }
            Assignment assignment = Json.read(message, Assignment.class);
            String trace = TraceHeader.of(record);
            if (trace != null) {
                ((ObjectNode) message).put(TaskHeaders.TRACEPARENT, trace);
            }
            deliveries.add(new Delivery(
                    new TopicPartition(record.topic(), record.partition()),
                    record.offset(),
                    new Attempt(assignment.agentId(), assignment.taskId(), assignment.attempt()),
                    message.toString()));
        } catch (Json.MalformedMessageException e) {
            log.atDebug().addKeyValue("offset", record.offset()).log("Skipped a foreign record: {}", e.getMessage());
        }
    }

    private List<Delivery> unsettledAttempts() {
        List<Delivery> all = new ArrayList<>();
        unsettled.forEach((partition, attempts) ->
                attempts.forEach((offset, attempt) -> all.add(new Delivery(partition, offset, attempt, ""))));
        return all;
    }

    private void deliver(List<Delivery> deliveries) {
        List<Delivery> batch = new ArrayList<>();
        int characters = 0;
        for (Delivery delivery : deliveries) {
            if (batch.size() == MAX_BATCH || characters > MAX_BATCH_CHARACTERS) {
                deliverBatch(batch);
                batch.clear();
                characters = 0;
            }
            batch.add(delivery);
            characters += delivery.body.length();
        }
        if (!batch.isEmpty()) {
            deliverBatch(batch);
        }
    }

    /** An empty batch only queries the state of the index. */
    private void deliverBatch(List<Delivery> batch) {
        List<String> arguments = new ArrayList<>(2 + 4 * batch.size());
        arguments.add(redis.channel(Keys.DELIVERIES));
        arguments.add(String.valueOf(RETENTION.toMillis()));
        for (Delivery delivery : batch) {
            arguments.add(delivery.attempt.agentId);
            arguments.add(delivery.attempt.taskId);
            arguments.add(String.valueOf(delivery.attempt.attempt));
            arguments.add(delivery.body);
        }
        List<Object> answer = DELIVER.runSync(redis, arguments);
        boolean isRestored = answer.get(0).equals("restored");
        mustReread |= isRestored != restored && !answer.get(0).equals("rebuilding");
        restored = isRestored;
        String live = (String) answer.get(1);
        for (int i = 0; i < batch.size(); i++) {
            Delivery delivery = batch.get(i);
            TreeMap<Long, Attempt> attempts =
                    unsettled.computeIfAbsent(delivery.partition, partition -> new TreeMap<>());
            if (live.charAt(i) == '1') {
                attempts.put(delivery.offset, delivery.attempt);
            } else if (!restored) {
                attempts.remove(delivery.offset);
            }
        }
    }

    /** Reads again from the first unsettled assignment of each partition. */
    private void reread() {
        unsettled.forEach((partition, attempts) -> {
            if (!attempts.isEmpty()) {
                consumer.seek(partition, attempts.firstKey());
            }
        });
    }

    private void commit() {
        Uuid topicId = shared.id(topics.sharedAssignments());
        if (topicId == null) {
            return;
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition partition : consumer.assignment()) {
            TreeMap<Long, Attempt> attempts = unsettled.getOrDefault(partition, new TreeMap<>());
            if (!consumer.paused().contains(partition)) {
                long offset = attempts.isEmpty() ? consumer.position(partition) : attempts.firstKey();
                offsets.put(partition, new OffsetAndMetadata(offset, CommitTag.with(topicId, "")));
            }
        }
        consumer.commitAsync(offsets, (committed, failure) -> {
            if (failure != null) {
                // The next commit replaces it.
                log.atDebug().log("Offsets of deliveries not committed: {}", failure.toString());
            }
        });
    }
}

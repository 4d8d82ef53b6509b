package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.trace.TraceHeader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads assignments back from their agent's topic, so that payloads need not be stored elsewhere. Owned by one thread. */
final class AssignmentArchive implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(AssignmentArchive.class);

    /** Allowed difference between the clocks of brokers and coordinators. */
    private static final Duration CLOCK_SLACK = Duration.ofMinutes(5);

    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final Duration POLL = Duration.ofMillis(500);

    private final KafkaClients clients;
    private final Topics topics;
    /** Opened on first use, by the owning thread. */
    private @Nullable Consumer<byte[], byte[]> opened;

    AssignmentArchive(KafkaClients clients, Topics topics) {
        this.clients = clients;
        this.topics = topics;
    }

    /** An assignment and its trace. */
    record Archived(Assignment assignment, @Nullable String trace) {}

    /**
     * Finds assignments by id in an agent's topic; those no longer there are absent from the result.
     *
     * @param since lower bound of the assignments' times
     */
    Map<String, Archived> find(String agentId, Set<String> assignmentIds, Instant since) {
        TopicPartition partition = new TopicPartition(topics.assignments(agentId), 0);
        Consumer<byte[], byte[]> consumer = consumer();
        if (consumer.partitionsFor(partition.topic(), PATIENCE).isEmpty()) {
            // The agent never existed, or its topic is gone.
            return Map.of();
        }
        consumer.assign(List.of(partition));
        long end = consumer.endOffsets(List.of(partition), PATIENCE).getOrDefault(partition, 0L);
        Map<String, Archived> found = new HashMap<>();
        // A record is sent right after its assignment, so it is usually found at once. The minutes before may hold many
        // other records.
        read(consumer, partition, since, end, assignmentIds, found);
        if (found.size() < assignmentIds.size()) {
            read(consumer, partition, since.minus(CLOCK_SLACK), end, assignmentIds, found);
        }
        return found;
    }

    private void read(
            Consumer<byte[], byte[]> consumer,
            TopicPartition partition,
            Instant from,
            long end,
            Set<String> wanted,
            Map<String, Archived> found) {
        long fromMs = Math.max(0, from.toEpochMilli());
        OffsetAndTimestamp start =
                consumer.offsetsForTimes(Map.of(partition, fromMs), PATIENCE).get(partition);
        if (start == null) {
            return;
        }
        consumer.seek(partition, start.offset());
        Set<String> taskIds =
                wanted.stream().map(id -> id.substring(0, id.lastIndexOf(':'))).collect(Collectors.toSet());
        while (found.size() < wanted.size() && consumer.position(partition) < end) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
            for (ConsumerRecord<byte[], byte[]> record : records) {
                if (record.key() != null && taskIds.contains(new String(record.key(), StandardCharsets.UTF_8))) {
                    keep(record, wanted, found);
                }
            }
        }
    }

    private Consumer<byte[], byte[]> consumer() {
        if (opened == null) {
            opened = clients.freeConsumer();
        }
        return opened;
    }

    @Override
    public void close() {
        if (opened != null) {
            opened.close();
        }
    }

    private static void keep(ConsumerRecord<byte[], byte[]> record, Set<String> wanted, Map<String, Archived> found) {
        try {
            Assignment assignment = Json.read(record.value(), Assignment.class);
            if (wanted.contains(assignment.assignmentId())) {
                found.put(assignment.assignmentId(), new Archived(assignment, TraceHeader.of(record)));
            }
        } catch (Json.MalformedMessageException e) {
            // A cancellation or a foreign record.
            log.atDebug().addKeyValue("topic", record.topic()).log("Not an assignment: {}", e.getMessage());
        }
    }
}

package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicHistory;
import io.aitbc.coordinator.trace.TraceHeader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads assignments back from their agent's topic or the shared one, so that payloads need not be stored elsewhere. Owned by one thread. */
final class AssignmentArchive implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(AssignmentArchive.class);

    /** Allowed difference between the clocks of brokers and coordinators. */
    private static final Duration CLOCK_SLACK = Duration.ofMinutes(5);

    private final KafkaClients clients;
    private final Topics topics;
    /** Opened on first use, by the owning thread. */
    private @Nullable TopicHistory opened;

    AssignmentArchive(KafkaClients clients, Topics topics) {
        this.clients = clients;
        this.topics = topics;
    }

    /** An assignment and its trace. */
    record Archived(Assignment assignment, @Nullable String trace) {}

    /**
     * Finds assignments of an agent by id; those no longer there are absent from the result.
     *
     * @param since lower bound of the assignments' times
     * @throws TimeoutException if Kafka stops answering, or the topic has been deleted meanwhile
     */
    Map<String, Archived> find(String agentId, Set<String> assignmentIds, Instant since) {
        TopicHistory history = history();
        // Empty if the agent never existed, or its topic is gone.
        Set<TopicPartition> partitions = history.partitions(topics.assignments(agentId));
        Map<String, Archived> found = new HashMap<>();
        // A record is sent right after its assignment, so it is usually found at once. The minutes before may hold many
        // other records.
        read(history, history.since(partitions, since), assignmentIds, found);
        if (found.size() < assignmentIds.size()) {
            read(history, history.since(partitions, since.minus(CLOCK_SLACK)), assignmentIds, found);
        }
        if (found.size() < assignmentIds.size()) {
            // It may have had another delivery then.
            found.putAll(findShared(Set.of(agentId), assignmentIds, since));
        }
        return found;
    }

    /**
     * Like {@link #find}, for many agents without a topic of their own: the shared topic is read once for all of them.
     *
     * @param agentIds the agents of the assignments
     */
    Map<String, Archived> findShared(Set<String> agentIds, Set<String> assignmentIds, Instant since) {
        TopicHistory history = history();
        Map<String, Archived> found = new HashMap<>();
        readShared(history, agentIds, since, assignmentIds, found);
        if (found.size() < assignmentIds.size()) {
            readShared(history, agentIds, since.minus(CLOCK_SLACK), assignmentIds, found);
        }
        return found;
    }

    private void readShared(
            TopicHistory history,
            Set<String> agentIds,
            Instant since,
            Set<String> wanted,
            Map<String, Archived> found) {
        int partitions = history.partitions(topics.sharedAssignments()).size();
        if (partitions == 0) {
            return;
        }
        Set<TopicPartition> theirs = agentIds.stream()
                .map(agentId -> sharedPartition(topics, agentId, partitions))
                .collect(Collectors.toSet());
        history.readWhile(history.since(theirs, since), record -> {
            if (record.key() != null && agentIds.contains(new String(record.key(), StandardCharsets.UTF_8))) {
                keep(record, wanted, found);
            }
            return found.size() < wanted.size();
        });
    }

    /** The partition of the shared topic that holds the assignments of an agent. */
    static TopicPartition sharedPartition(Topics topics, String agentId, int partitions) {
        return new TopicPartition(topics.sharedAssignments(), KafkaClients.partition(agentId, partitions));
    }

    private static void read(
            TopicHistory history, Map<TopicPartition, Long> starts, Set<String> wanted, Map<String, Archived> found) {
        Set<String> taskIds =
                wanted.stream().map(id -> id.substring(0, id.lastIndexOf(':'))).collect(Collectors.toSet());
        history.readWhile(starts, record -> {
            if (record.key() != null && taskIds.contains(new String(record.key(), StandardCharsets.UTF_8))) {
                keep(record, wanted, found);
            }
            return found.size() < wanted.size();
        });
    }

    private TopicHistory history() {
        if (opened == null) {
            opened = new TopicHistory(clients);
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

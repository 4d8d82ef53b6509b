package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicHistory;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsResult;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Which assignments are out, as Kafka alone tells: what stands in agents' topics behind what they have committed, and has no result.
 * An agent commits an offset once everything up to it has been reported.
 */
final class InFlight {
    private static final Logger log = LoggerFactory.getLogger(InFlight.class);

    /** No attempt takes longer without a word: what is older has been given back. */
    private static final Duration OLDEST = Duration.ofDays(4);

    /** A result is stamped by the broker, an assignment by a coordinator. */
    private static final Duration CLOCK_SLACK = Duration.ofMinutes(5);

    private final KafkaClients clients;
    private final Admin admin;
    private final Topics topics;

    InFlight(KafkaClients clients, Admin admin, Topics topics) {
        this.clients = clients;
        this.admin = admin;
        this.topics = topics;
    }

    /** Whether an agent could have been given anything at all. */
    boolean isPossible() throws InterruptedException {
        try {
            return !agentsWithTopics().isEmpty();
        } catch (ExecutionException e) {
            throw new KafkaException(e.getCause());
        }
    }

    /** The newest attempt of each task, unless it has been reported, or a later one has, or it was cancelled. */
    Collection<Assignment> find(Instant now) throws InterruptedException {
        Map<String, Assignment> newest = new HashMap<>();
        Set<String> cancelled = new HashSet<>();
        try (TopicHistory history = new TopicHistory(clients)) {
            Map<TopicPartition, Long> committed = committedByAgents();
            Map<TopicPartition, Long> starts = history.since(committed.keySet(), now.minus(OLDEST));
            starts.replaceAll((partition, start) -> Math.max(start, committed.get(partition)));
            history.read(starts, record -> take(record, newest, cancelled));
            newest.values().removeIf(assignment -> cancelled.contains(assignment.assignmentId()));
            if (!newest.isEmpty()) {
                forgetReported(history, newest);
            }
        }
        return newest.values();
    }

    private static void take(
            ConsumerRecord<byte[], byte[]> record, Map<String, Assignment> newest, Set<String> cancelled) {
        try {
            JsonNode message = Json.read(record.value() == null ? new byte[0] : record.value(), JsonNode.class);
            if (message.path("type").asString("").equals(Cancellation.TYPE)) {
                cancelled.add(Json.read(message, Cancellation.class).assignmentId());
                return;
            }
            Assignment assignment = Json.read(message, Assignment.class);
            newest.merge(
                    assignment.taskId(), assignment, (one, other) -> one.attempt() >= other.attempt() ? one : other);
        } catch (Json.MalformedMessageException e) {
            log.atTrace().log("Something that someone else wrote: {}", e.getMessage());
        }
    }

    private void forgetReported(TopicHistory history, Map<String, Assignment> newest) {
        Instant since = newest.values().stream()
                .map(Assignment::assignedAt)
                .min(Instant::compareTo)
                .orElseThrow();
        // Of an agent that died long ago the topic still holds what others have done since.
        Map<String, Integer> reported = new HashMap<>();
        history.read(history.since(history.partitions(topics.results()), since.minus(CLOCK_SLACK)), record -> {
            try {
                TaskResult result = Json.read(record.value() == null ? new byte[0] : record.value(), TaskResult.class);
                if (result.status() != TaskResult.Status.PROGRESS) {
                    reported.merge(result.taskId(), result.attempt(), Math::max);
                }
            } catch (Json.MalformedMessageException e) {
                log.atTrace().log("Set aside by whoever settles results: {}", e.getMessage());
            }
        });
        newest.values().removeIf(assignment -> reported.getOrDefault(assignment.taskId(), 0) >= assignment.attempt());
    }

    /** The partition of each agent, and what its group has committed there; 0 when it has not. */
    private Map<TopicPartition, Long> committedByAgents() throws InterruptedException {
        try {
            Set<String> agentIds = agentsWithTopics();
            Map<String, ListConsumerGroupOffsetsSpec> groups = new HashMap<>();
            agentIds.forEach(id -> groups.put(
                    topics.agentGroup(id), new ListConsumerGroupOffsetsSpec().topicPartitions(Set.of(partition(id)))));
            ListConsumerGroupOffsetsResult listed = admin.listConsumerGroupOffsets(groups);
            Map<TopicPartition, Long> committed = new HashMap<>();
            for (String id : agentIds) {
                committed.put(partition(id), committed(listed, id));
            }
            return committed;
        } catch (ExecutionException e) {
            throw new KafkaException(e.getCause());
        }
    }

    private Set<String> agentsWithTopics() throws InterruptedException, ExecutionException {
        String start = topics.assignments("");
        return admin.listTopics().names().get().stream()
                .filter(name -> name.startsWith(start))
                .map(name -> name.substring(start.length()))
                .collect(Collectors.toSet());
    }

    private long committed(ListConsumerGroupOffsetsResult listed, String agentId) throws InterruptedException {
        try {
            OffsetAndMetadata offset = listed.partitionsToOffsetAndMetadata(topics.agentGroup(agentId))
                    .get()
                    .get(partition(agentId));
            return offset == null ? 0 : offset.offset();
        } catch (ExecutionException e) {
            log.atDebug().addKeyValue("agent_id", agentId).log("It has committed nothing: {}", e.toString());
            return 0;
        }
    }

    private TopicPartition partition(String agentId) {
        return new TopicPartition(topics.assignments(agentId), 0);
    }
}

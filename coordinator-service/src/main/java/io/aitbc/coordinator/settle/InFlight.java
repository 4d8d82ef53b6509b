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
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsResult;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Determines from Kafka alone which assignments are in flight: those in agents' topics, past the committed offset, without a settled
 * result. An agent commits an offset once everything up to it has been reported.
 */
final class InFlight {
    private static final Logger log = LoggerFactory.getLogger(InFlight.class);

    /** Older attempts have been given back: none takes longer without a progress report. */
    private static final Duration MAX_ATTEMPT_AGE = Duration.ofDays(4);

    /** Search windows for attempts that are reported but not settled: most take minutes. */
    private static final List<Duration> SEARCH_WINDOWS =
            List.of(Duration.ofMinutes(5), Duration.ofHours(1), MAX_ATTEMPT_AGE);

    /** Results are stamped by the broker, assignments by a coordinator. */
    private static final Duration CLOCK_SLACK = Duration.ofMinutes(5);

    private final KafkaClients clients;
    private final Admin admin;
    private final Topics topics;

    InFlight(KafkaClients clients, Admin admin, Topics topics) {
        this.clients = clients;
        this.admin = admin;
        this.topics = topics;
    }

    /** Whether any agent can have been given an assignment. */
    boolean isPossible() throws InterruptedException {
        try {
            return !agentsWithTopics().isEmpty();
        } catch (ExecutionException e) {
            throw new KafkaException(e.getCause());
        }
    }

    /**
     * Attempts found in Kafka.
     *
     * @param live the newest attempt of each task, unless it or a later one was settled, or it was cancelled
     * @param completed attempts settled as completed, each with its result
     */
    record Found(Collection<Assignment> live, Map<Assignment, TaskResult> completed) {}

    /** Partition → the first offset of {@code tasks.results} that is not settled now. */
    Map<TopicPartition, Long> unsettledFrom() throws InterruptedException {
        return UnreadResults.unsettledFrom(admin, topics);
    }

    /**
     * Reads agents' topics and results. An unsettled result leaves its attempt live: it will be settled like any other, or never, if its
     * transaction is aborted.
     *
     * @param rebuiltFrom {@link #unsettledFrom()} before the index was rebuilt, for results of assignments that were unknown then: they
     *     were ignored, so a completed one is found as completed, and a failed one leaves its attempt live
     */
    Found find(Instant now, Map<TopicPartition, Long> rebuiltFrom) throws InterruptedException {
        Map<TopicPartition, Long> unsettledFrom = unsettledFrom();
        Map<String, Assignment> newest = new HashMap<>();
        Set<String> cancelled = new HashSet<>();
        Map<Assignment, TaskResult> completed = new HashMap<>();
        try (TopicHistory history = new TopicHistory(clients);
                TopicHistory results = new TopicHistory(clients, IsolationLevel.READ_COMMITTED)) {
            Map<TopicPartition, Long> committed = committedByAgents();
            Map<TopicPartition, Long> starts = history.since(committed.keySet(), now.minus(MAX_ATTEMPT_AGE));
            starts.replaceAll((partition, start) -> Math.max(start, committed.get(partition)));
            history.read(starts, record -> add(record, newest, cancelled));
            addReported(history, rebuiltFrom, committed.keySet(), now, newest, cancelled);
            newest.values().removeIf(assignment -> cancelled.contains(assignment.assignmentId()));
            if (!newest.isEmpty()) {
                removeSettled(results, rebuiltFrom, unsettledFrom, newest, completed);
            }
        }
        return new Found(newest.values(), completed);
    }

    private static void add(
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
            log.atTrace().log("Skipped a foreign record: {}", e.getMessage());
        }
    }

    /**
     * Finds attempts whose result was reported after given offsets. Agents commit what they have reported, so the assignment may lie before
     * the committed offset. It is searched for in growing windows; a result without an assignment is ignored as foreign.
     */
    private void addReported(
            TopicHistory history,
            Map<TopicPartition, Long> from,
            Set<TopicPartition> agents,
            Instant now,
            Map<String, Assignment> newest,
            Set<String> cancelled) {
        Map<String, TopicPartition> missing = new HashMap<>();
        history.read(from, record -> {
            TaskResult result = result(record);
            if (result != null && agents.contains(partition(result.agentId()))) {
                missing.put(Assignment.id(result.taskId(), result.attempt()), partition(result.agentId()));
            }
        });
        newest.values().forEach(assignment -> missing.remove(assignment.assignmentId()));
        for (Duration back : SEARCH_WINDOWS) {
            if (missing.isEmpty()) {
                return;
            }
            Map<TopicPartition, Long> starts = history.since(Set.copyOf(missing.values()), now.minus(back));
            Map<String, Assignment> found = new HashMap<>();
            history.read(starts, record -> add(record, found, cancelled));
            found.values().stream()
                    .filter(assignment -> missing.remove(assignment.assignmentId()) != null)
                    .forEach(assignment -> newest.merge(
                            assignment.taskId(),
                            assignment,
                            (one, other) -> one.attempt() >= other.attempt() ? one : other));
        }
    }

    private void removeSettled(
            TopicHistory history,
            Map<TopicPartition, Long> rebuiltFrom,
            Map<TopicPartition, Long> unsettledFrom,
            Map<String, Assignment> newest,
            Map<Assignment, TaskResult> completed) {
        Instant since = newest.values().stream()
                .map(Assignment::assignedAt)
                .min(Instant::compareTo)
                .orElseThrow();
        // The topic of an agent that died long ago still holds tasks that others have settled since.
        Map<String, Integer> settled = new HashMap<>();
        history.read(history.since(history.partitions(topics.results()), since.minus(CLOCK_SLACK)), record -> {
            TaskResult result = result(record);
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());
            long settledTo = result == null || result.status() == TaskResult.Status.COMPLETED
                    ? unsettledFrom.getOrDefault(partition, 0L)
                    : Math.min(unsettledFrom.getOrDefault(partition, 0L), rebuiltFrom.getOrDefault(partition, 0L));
            if (result != null && record.offset() < settledTo) {
                settled.merge(result.taskId(), result.attempt(), Math::max);
                Assignment assignment = newest.get(result.taskId());
                if (assignment != null
                        && result.status() == TaskResult.Status.COMPLETED
                        && result.attempt().equals(assignment.attempt())
                        && result.agentId().equals(assignment.agentId())) {
                    completed.putIfAbsent(assignment, result);
                }
            }
        });
        newest.values().removeIf(assignment -> settled.getOrDefault(assignment.taskId(), 0) >= assignment.attempt());
    }

    /** A final result; null for any other record. */
    private static @Nullable TaskResult result(ConsumerRecord<byte[], byte[]> record) {
        try {
            TaskResult result = Json.read(record.value() == null ? new byte[0] : record.value(), TaskResult.class);
            return result.status() == TaskResult.Status.PROGRESS ? null : result;
        } catch (Json.MalformedMessageException e) {
            log.atTrace().log("Skipped a record that is dead-lettered by the results loop: {}", e.getMessage());
            return null;
        }
    }

    /** The partition of each agent's topic, and its group's committed offset; 0 if none. */
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
            log.atDebug().addKeyValue("agent_id", agentId).log("No committed offset: {}", e.toString());
            return 0;
        }
    }

    private TopicPartition partition(String agentId) {
        return new TopicPartition(topics.assignments(agentId), 0);
    }
}

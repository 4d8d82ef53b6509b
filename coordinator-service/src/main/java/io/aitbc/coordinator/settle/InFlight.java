package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Ids;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicHistory;
import io.aitbc.coordinator.taskstate.TaskState;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsResult;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
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
 * Determines from Kafka which assignments are in flight: those in agents' topics and the shared one, past the committed offset,
 * without a settled result. An agent commits an offset once everything up to it has been reported; coordinators commit one of the shared
 * topic once everything up to it is settled.
 */
final class InFlight {
    private static final Logger log = LoggerFactory.getLogger(InFlight.class);

    /** Older attempts have been requeued: none takes longer without a progress report. */
    private static final Duration MAX_ATTEMPT_AGE = Duration.ofDays(4);

    /** Search windows for attempts that are reported but not settled: most take minutes. */
    private static final List<Duration> SEARCH_WINDOWS =
            List.of(Duration.ofMinutes(5), Duration.ofHours(1), MAX_ATTEMPT_AGE);

    /**
     * Results settled up to this long before count as well: a task whose owner died before committing its offset is read again by the next
     * owner of its partition, which follows within seconds, or the session timeout of the group if an operator has raised it.
     */
    private static final Duration MAX_TAKEOVER_TIME = Duration.ofMinutes(1);

    /** Upper bound of the settled results that are searched, for their memory. */
    private static final long MAX_SETTLED = 100_000;

    /** Beyond this total size of these results, tasks are restored as completed without theirs. */
    private static final long MAX_RESULT_BYTES = 32 * 1024 * 1024;

    /** Tasks whose states are read at once. */
    private static final int STATES_BATCH = 1_000;

    /** Ends without a result, and what undoes one. */
    private static final Set<TaskEvent.Kind> ENDS = EnumSet.of(
            TaskEvent.Kind.REDRIVEN, TaskEvent.Kind.FAILED, TaskEvent.Kind.CANCELLED, TaskEvent.Kind.EXPIRED);

    /** How far the clocks of coordinators, brokers and Redis may differ in that search: beyond, tasks are not found. */
    private static final Duration SETTLED_CLOCK_SLACK = Duration.ofSeconds(30);

    /** Results are stamped by the broker, assignments by a coordinator. */
    private static final Duration CLOCK_SLACK = Duration.ofMinutes(5);

    private final KafkaClients clients;
    private final Admin admin;
    private final Topics topics;
    private final ResultRecords results;
    private final Function<Collection<String>, Map<String, TaskState>> states;

    /** @param states the states of tasks that Redis knows */
    InFlight(
            KafkaClients clients,
            Admin admin,
            Topics topics,
            ResultRecords results,
            Function<Collection<String>, Map<String, TaskState>> states) {
        this.results = results;
        this.states = states;
        this.clients = clients;
        this.admin = admin;
        this.topics = topics;
    }

    /** Whether any agent can have been given an assignment. */
    boolean isPossible() throws InterruptedException {
        try {
            return !agentsWithTopics().isEmpty() || hasSharedAssignments();
        } catch (ExecutionException e) {
            throw new KafkaException(e.getCause());
        }
    }

    /**
     * Attempts found in Kafka.
     *
     * @param live the newest attempt of each task, unless it or a later one was settled, or it was cancelled
     * @param settled attempts settled as completed, and those whose task was requeued after an unsuccessful result, each with its result
     */
    record Found(Collection<Assignment> live, Map<Assignment, TaskResult> settled) {}

    /** Partition → the first offset of {@code tasks.results} that is not settled now. */
    Map<TopicPartition, Long> unsettledFrom() throws InterruptedException {
        return UnreadResults.unsettledFrom(admin, topics);
    }

    /** Partition → the first offset of {@code tasks.results} that was reported since a time, or is not settled now. */
    Map<TopicPartition, Long> reportedSince(Instant time) throws InterruptedException {
        Map<TopicPartition, Long> from = unsettledFrom();
        try (TopicHistory results = new TopicHistory(clients)) {
            results.since(from.keySet(), time).forEach((partition, offset) -> from.merge(partition, offset, Math::min));
        }
        return from;
    }

    /**
     * Settled results whose tasks may be read again, because the owner of their queue died before it committed their offsets. It died shortly
     * before the oldest result that is unsettled now; without any, before the newest one, if no coordinator has run since.
     *
     * @param from partition → the first offset of {@code tasks.results}
     * @param starts where growing windows begin in which their tasks were assigned
     * @param since when they were settled
     */
    record Uncommitted(Map<TopicPartition, Long> from, List<Instant> starts, Instant since) {
        static final Uncommitted NONE = new Uncommitted(Map.of(), List.of(), Instant.EPOCH);
    }

    /**
     * Results that Redis may have lost after they were settled.
     *
     * @param writtenAt until when Redis has all that was written
     */
    Uncommitted lostSince(Instant writtenAt, Instant now) throws InterruptedException {
        Instant since = writtenAt.minus(SETTLED_CLOCK_SLACK);
        try (TopicHistory results = new TopicHistory(clients)) {
            return new Uncommitted(results.since(results.partitions(topics.results()), since), starts(now), since);
        }
    }

    /**
     * How tasks ended without a result, and which were redriven, since a time; those of a task in their order. A failure without a dead letter is left out: that is
     * written after the event, and again by whoever finds the attempt still held.
     */
    List<TaskEvent> endedSince(Instant time) {
        List<TaskEvent> ended = new ArrayList<>();
        try (TopicHistory history = new TopicHistory(clients)) {
            Set<String> deadLettered = new HashSet<>();
            history.read(history.since(history.partitions(topics.deadLetter()), time), record -> {
                if (record.key() != null) {
                    deadLettered.add(new String(record.key(), StandardCharsets.UTF_8));
                }
            });
            history.read(history.since(history.partitions(topics.events()), time), record -> {
                TaskEvent event = event(record);
                if (event != null
                        && ENDS.contains(event.kind())
                        && (event.kind() != TaskEvent.Kind.FAILED || deadLettered.contains(event.taskId()))) {
                    ended.add(event);
                }
            });
        }
        ended.sort(Comparator.comparing(TaskEvent::sequence));
        return ended;
    }

    private static @Nullable TaskEvent event(ConsumerRecord<byte[], byte[]> record) {
        try {
            return record.value() == null ? null : Json.read(record.value(), TaskEvent.class);
        } catch (Json.MalformedMessageException e) {
            log.atTrace().log("Skipped a foreign record: {}", e.getMessage());
            return null;
        }
    }

    /** @param unsettledFrom see {@link #unsettledFrom} */
    Uncommitted uncommitted(Map<TopicPartition, Long> unsettledFrom) throws InterruptedException {
        try (TopicHistory results = new TopicHistory(clients)) {
            Instant oldest = oldest(results, unsettledFrom);
            Instant time = oldest == null ? newestResult(unsettledFrom.keySet()) : oldest;
            Map<TopicPartition, Long> from = results.since(unsettledFrom.keySet(), time.minus(MAX_TAKEOVER_TIME));
            long most = MAX_SETTLED / Math.max(1, from.size());
            from.replaceAll((partition, offset) -> Math.max(offset, unsettledFrom.getOrDefault(partition, 0L) - most));
            Instant since = time.minus(MAX_TAKEOVER_TIME).minus(SETTLED_CLOCK_SLACK);
            return new Uncommitted(from, List.of(since), since);
        }
    }

    private static @Nullable Instant oldest(TopicHistory history, Map<TopicPartition, Long> from) {
        List<Instant> firsts = new ArrayList<>();
        from.forEach((partition, offset) -> history.readWhile(Map.of(partition, offset), record -> {
            firsts.add(Instant.ofEpochMilli(record.timestamp()));
            return false;
        }));
        return firsts.stream().min(Instant::compareTo).orElse(null);
    }

    private Instant newestResult(Set<TopicPartition> partitions) throws InterruptedException {
        Map<TopicPartition, OffsetSpec> newest = new HashMap<>();
        partitions.forEach(partition -> newest.put(partition, OffsetSpec.maxTimestamp()));
        try {
            return admin.listOffsets(newest).all().get().values().stream()
                    .map(found -> Instant.ofEpochMilli(found.timestamp()))
                    .max(Instant::compareTo)
                    .orElseThrow();
        } catch (ExecutionException e) {
            throw new KafkaException(e.getCause());
        }
    }

    /**
     * Reads agents' topics and results. An unsettled result leaves its attempt live: it will be settled like any other, or never, if its
     * transaction is aborted.
     *
     * @param rebuiltFrom offsets from which results may have been ignored because their tasks were unknown: there, a completed
     *     result marks its attempt as completed, and a failed one leaves it live
     * @param uncommitted results that count although they were settled, and their agents committed the assignments
     */
    Found find(Instant now, Map<TopicPartition, Long> rebuiltFrom, Uncommitted uncommitted)
            throws InterruptedException {
        Map<TopicPartition, Long> unsettledFrom = unsettledFrom();
        Map<String, Assignment> newest = new HashMap<>();
        Map<String, Cancellation> cancelled = new HashMap<>();
        Map<Assignment, TaskResult> settled = new HashMap<>();
        try (TopicHistory history = new TopicHistory(clients);
                TopicHistory results = new TopicHistory(clients, IsolationLevel.READ_COMMITTED)) {
            Map<TopicPartition, Long> committed = committed(history.partitions(topics.sharedAssignments()));
            AssignmentPartitions partitions = new AssignmentPartitions(committed.keySet());
            Map<TopicPartition, Long> starts = history.since(committed.keySet(), now.minus(MAX_ATTEMPT_AGE));
            starts.replaceAll((partition, start) -> Math.max(start, committed.getOrDefault(partition, 0L)));
            history.read(
                    starts,
                    record -> read(record, assignment -> addNewest(assignment.withoutPayload(), newest), cancelled));
            Map<AttemptRef, Assignment> reported =
                    search(history, reported(history, rebuiltFrom, newest), partitions, starts(now), cancelled);
            reported.values().forEach(assignment -> addNewest(assignment, newest));
            Set<AttemptRef> ended = unknown(history, uncommitted.from, unsettledFrom, newest);
            search(history, ended, partitions, uncommitted.starts, cancelled)
                    .values()
                    .forEach(assignment -> addNewest(assignment, newest));
            newest.values().removeIf(assignment -> cancelled.containsKey(assignment.assignmentId()));
            if (!newest.isEmpty()) {
                removeSettled(results, history, rebuiltFrom, unsettledFrom, ended, partitions, now, newest, settled);
            }
        }
        return new Found(newest.values(), settled);
    }

    private static void read(
            ConsumerRecord<byte[], byte[]> record, Consumer<Assignment> assigned, Map<String, Cancellation> cancelled) {
        try {
            JsonNode message = Json.read(record.value() == null ? new byte[0] : record.value(), JsonNode.class);
            if (message.path("type").asString("").equals(Cancellation.TYPE)) {
                Cancellation cancellation = Json.read(message, Cancellation.class);
                cancelled.put(cancellation.assignmentId(), cancellation);
            } else {
                Assignment assignment = Json.read(message, Assignment.class);
                cancelled.computeIfPresent(
                        assignment.assignmentId(), (id, earlier) -> earlier.appliesTo(assignment) ? earlier : null);
                assigned.accept(assignment);
            }
        } catch (Json.MalformedMessageException e) {
            log.atTrace().log("Skipped a foreign record: {}", e.getMessage());
        }
    }

    private static void addNewest(Assignment assignment, Map<String, Assignment> newest) {
        newest.merge(assignment.taskId(), assignment, (one, other) -> one.attempt() >= other.attempt() ? one : other);
    }

    /** An attempt as a result names it. Anyone can write to {@code tasks.results}: it may never have been that agent's. */
    private record AttemptRef(String taskId, int attempt, String agentId) {
        static AttemptRef by(TaskResult result) {
            return new AttemptRef(result.taskId(), result.attempt(), result.agentId());
        }

        static AttemptRef by(Assignment assignment) {
            return new AttemptRef(assignment.taskId(), assignment.attempt(), assignment.agentId());
        }
    }

    /**
     * Attempts with a final result after given offsets, except those found already. Agents commit assignments that they have reported, so the
     * assignment may lie before the committed offset.
     */
    private Set<AttemptRef> reported(
            TopicHistory history, Map<TopicPartition, Long> from, Map<String, Assignment> found) {
        Set<AttemptRef> reported = new HashSet<>();
        history.read(from, record -> {
            TaskResult result = result(record);
            if (result != null) {
                reported.add(AttemptRef.by(result));
            }
        });
        found.values().forEach(assignment -> reported.remove(AttemptRef.by(assignment)));
        return reported;
    }

    /** Attempts with a final result between given offsets that Redis does not know to have ended, except those found already. */
    private Set<AttemptRef> unknown(
            TopicHistory history,
            Map<TopicPartition, Long> from,
            Map<TopicPartition, Long> to,
            Map<String, Assignment> found) {
        Set<AttemptRef> unknown = new HashSet<>();
        List<AttemptRef> batch = new ArrayList<>();
        history.read(from, record -> {
            long end = to.getOrDefault(new TopicPartition(record.topic(), record.partition()), 0L);
            TaskResult result = record.offset() < end ? result(record) : null;
            if (result != null) {
                batch.add(AttemptRef.by(result));
            }
            if (batch.size() == STATES_BATCH) {
                addUnknown(batch, unknown);
            }
        });
        addUnknown(batch, unknown);
        found.values().forEach(assignment -> unknown.remove(AttemptRef.by(assignment)));
        return unknown;
    }

    private void addUnknown(List<AttemptRef> batch, Set<AttemptRef> unknown) {
        Map<String, TaskState> known =
                states.apply(batch.stream().map(AttemptRef::taskId).collect(Collectors.toSet()));
        for (AttemptRef one : batch) {
            if (!isKnown(one, known.get(one.taskId))) {
                unknown.add(one);
            }
        }
        batch.clear();
    }

    /** Whether Redis knows that an attempt has ended. Of a task that waits for the next one, it may not know why. */
    private static boolean isKnown(AttemptRef attempt, @Nullable TaskState state) {
        if (state == null || state.attempt() < attempt.attempt) {
            return false;
        }
        int later = state.attempt() - attempt.attempt;
        return later > 1
                || (later == 1
                        ? state.status() != TaskStatus.QUEUED
                        : state.status().hasEnded());
    }

    /** Where the growing windows of a search begin. */
    private static List<Instant> starts(Instant now) {
        return SEARCH_WINDOWS.stream().map(now::minus).toList();
    }

    /**
     * Finds assignments in their agents' topics; results that name none of them are foreign.
     *
     * @param starts where windows begin: the next, larger one is searched if anything was not found in the one before
     */
    private Map<AttemptRef, Assignment> search(
            TopicHistory history,
            Set<AttemptRef> wanted,
            AssignmentPartitions partitions,
            List<Instant> starts,
            Map<String, Cancellation> cancelled) {
        Map<AttemptRef, Assignment> found = new HashMap<>();
        for (Instant start : starts) {
            Set<TopicPartition> searched = wanted.stream()
                    .filter(named -> !found.containsKey(named))
                    .flatMap(named -> partitions.of(named.agentId()).stream())
                    .collect(Collectors.toSet());
            if (searched.isEmpty()) {
                break;
            }
            history.read(
                    history.since(searched, start),
                    record -> read(
                            record,
                            assignment -> {
                                AttemptRef named = AttemptRef.by(assignment);
                                if (wanted.contains(named) && isOf(assignment.agentId(), record.topic())) {
                                    found.put(named, assignment.withoutPayload());
                                }
                            },
                            cancelled));
        }
        return found;
    }

    /**
     * Removes attempts that were settled or dead-lettered, and those followed by a later one that was settled: another agent may have had
     * it since.
     *
     * @param ended attempts that are here only because they ended lately
     */
    private void removeSettled(
            TopicHistory results,
            TopicHistory history,
            Map<TopicPartition, Long> rebuiltFrom,
            Map<TopicPartition, Long> unsettledFrom,
            Set<AttemptRef> ended,
            AssignmentPartitions partitions,
            Instant now,
            Map<String, Assignment> newest,
            Map<Assignment, TaskResult> settled) {
        Instant since = newest.values().stream()
                .map(Assignment::assignedAt)
                .min(Instant::compareTo)
                .orElseThrow();
        Set<String> endedTasks = new HashSet<>();
        Set<String> superseded = new HashSet<>();
        Map<AttemptRef, LaterResult> later = new HashMap<>();
        AtomicLong resultBytes = new AtomicLong();
        results.read(results.since(results.partitions(topics.results()), since.minus(CLOCK_SLACK)), record -> {
            TaskResult result = result(record);
            Assignment assignment = result == null ? null : newest.get(result.taskId());
            if (result == null
                    || assignment == null
                    || isOlder(record, assignment)
                    || record.offset() >= settledTo(record, result, rebuiltFrom, unsettledFrom)) {
                return;
            }
            if (AttemptRef.by(result).equals(AttemptRef.by(assignment))) {
                endedTasks.add(result.taskId());
                if (result.status() == TaskResult.Status.COMPLETED || ended.contains(AttemptRef.by(result))) {
                    boolean fits = !ended.contains(AttemptRef.by(result))
                            || resultBytes.addAndGet(record.value().length) <= MAX_RESULT_BYTES;
                    settled.putIfAbsent(assignment, fits ? result : result.withoutResult());
                }
            } else if (result.attempt() > assignment.attempt()) {
                later.putIfAbsent(AttemptRef.by(result), new LaterResult(result, record.timestamp()));
            }
        });
        Map<AttemptRef, Assignment> found = search(
                history,
                later.keySet().stream()
                        .filter(named -> !partitions.of(named.agentId()).isEmpty())
                        .collect(Collectors.toSet()),
                partitions,
                starts(now),
                new HashMap<>());
        later.forEach((named, one) -> {
            Assignment assignment = found.get(named);
            if (assignment != null && one.result.status() == TaskResult.Status.COMPLETED) {
                settled.putIfAbsent(assignment, one.result);
            }
            Set<TopicPartition> ofAgent = partitions.of(named.agentId());
            if (assignment != null || ofAgent.isEmpty() || isNewer(history, ofAgent, one)) {
                endedTasks.add(one.result.taskId());
                superseded.add(one.result.taskId());
            }
        });
        results.read(results.since(results.partitions(topics.deadLetter()), since.minus(CLOCK_SLACK)), record -> {
            Assignment assignment =
                    record.key() == null ? null : newest.get(new String(record.key(), StandardCharsets.UTF_8));
            if (assignment != null && !isOlder(record, assignment) && DeadLetters.isOfAttempt(record, assignment)) {
                endedTasks.add(assignment.taskId());
                superseded.add(assignment.taskId());
            }
        });
        // The result of an earlier attempt came too late, and did not count.
        settled.keySet()
                .removeIf(assignment ->
                        superseded.contains(assignment.taskId()) && assignment.equals(newest.get(assignment.taskId())));
        newest.keySet().removeAll(endedTasks);
    }

    /** A result of a later attempt than the newest assignment, and its timestamp. */
    private record LaterResult(TaskResult result, long timestampMs) {}

    /** Whether an agent's partitions begin after a result, so that the assignment may have been in a deleted topic or segment. */
    private static boolean isNewer(TopicHistory history, Set<TopicPartition> partitions, LaterResult later) {
        return partitions.stream().allMatch(partition -> {
            List<Long> first = new ArrayList<>();
            history.readWhile(Map.of(partition, 0L), record -> {
                first.add(record.timestamp());
                return false;
            });
            return first.isEmpty() || first.get(0) > later.timestampMs;
        });
    }

    /** Whether a record is of an earlier task of the same id: its state was forgotten, and it was submitted again. */
    private static boolean isOlder(ConsumerRecord<byte[], byte[]> record, Assignment assignment) {
        return Instant.ofEpochMilli(record.timestamp())
                .isBefore(assignment.assignedAt().minus(CLOCK_SLACK));
    }

    private static long settledTo(
            ConsumerRecord<byte[], byte[]> record,
            TaskResult result,
            Map<TopicPartition, Long> rebuiltFrom,
            Map<TopicPartition, Long> unsettledFrom) {
        TopicPartition partition = new TopicPartition(record.topic(), record.partition());
        long unsettled = unsettledFrom.getOrDefault(partition, 0L);
        return result.status() == TaskResult.Status.COMPLETED
                ? unsettled
                : Math.min(unsettled, rebuiltFrom.getOrDefault(partition, 0L));
    }

    /** A final result; null for any other record. */
    private @Nullable TaskResult result(ConsumerRecord<byte[], byte[]> record) {
        TaskResult result = results.readOrNull(record);
        return result == null || result.status() == TaskResult.Status.PROGRESS ? null : result;
    }

    /** The partitions of agents' topics and of the shared one, and the committed offset of each; 0 if none. */
    private Map<TopicPartition, Long> committed(Set<TopicPartition> shared) throws InterruptedException {
        try {
            Set<String> agentIds = agentsWithTopics();
            Map<String, ListConsumerGroupOffsetsSpec> groups = new HashMap<>();
            agentIds.forEach(id -> groups.put(
                    topics.agentGroup(id), new ListConsumerGroupOffsetsSpec().topicPartitions(Set.of(partition(id)))));
            groups.put(topics.deliveryGroup(), new ListConsumerGroupOffsetsSpec().topicPartitions(shared));
            ListConsumerGroupOffsetsResult listed = admin.listConsumerGroupOffsets(groups);
            Map<TopicPartition, Long> committed = new HashMap<>();
            for (String id : agentIds) {
                committed.put(partition(id), committed(listed, topics.agentGroup(id), partition(id)));
            }
            for (TopicPartition partition : shared) {
                committed.put(partition, committed(listed, topics.deliveryGroup(), partition));
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
                .filter(id -> !id.equals(Ids.SHARED_ASSIGNMENTS))
                .collect(Collectors.toSet());
    }

    private boolean hasSharedAssignments() {
        try (TopicHistory history = new TopicHistory(clients)) {
            List<Long> found = new ArrayList<>();
            Map<TopicPartition, Long> starts = new HashMap<>();
            history.partitions(topics.sharedAssignments()).forEach(partition -> starts.put(partition, 0L));
            history.readWhile(starts, record -> {
                found.add(record.offset());
                return false;
            });
            return !found.isEmpty();
        }
    }

    private static long committed(ListConsumerGroupOffsetsResult listed, String group, TopicPartition partition)
            throws InterruptedException {
        try {
            OffsetAndMetadata offset =
                    listed.partitionsToOffsetAndMetadata(group).get().get(partition);
            return offset == null ? 0 : offset.offset();
        } catch (ExecutionException e) {
            log.atDebug().addKeyValue("group", group).log("No committed offset: {}", e.toString());
            return 0;
        }
    }

    /** The partitions that hold assignments. */
    private final class AssignmentPartitions {
        private final Set<TopicPartition> existing;
        private final int shared;

        AssignmentPartitions(Set<TopicPartition> existing) {
            this.existing = existing;
            this.shared = (int) existing.stream()
                    .filter(partition -> partition.topic().equals(topics.sharedAssignments()))
                    .count();
        }

        /** Where the assignments of an agent may be: its delivery may have changed. */
        Set<TopicPartition> of(String agentId) {
            Set<TopicPartition> partitions = new HashSet<>();
            if (existing.contains(partition(agentId))) {
                partitions.add(partition(agentId));
            }
            if (shared > 0) {
                partitions.add(AssignmentArchive.sharedPartition(topics, agentId, shared));
            }
            return partitions;
        }
    }

    private boolean isOf(String agentId, String topic) {
        return topic.equals(topics.assignments(agentId)) || topic.equals(topics.sharedAssignments());
    }

    private TopicPartition partition(String agentId) {
        return new TopicPartition(topics.assignments(agentId), 0);
    }
}

package io.aitbc.coordinator.settle;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.registry.HeldAssignment;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.lettuce.core.Range;
import io.lettuce.core.ScoredValue;
import io.lettuce.core.ZAddArgs;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Access to the live attempts in Redis, for the code that ends them. Thread-safe. */
final class Attempts {
    private static final Script SETTLE = Script.loadFencedWithLimits(Attempts.class, "settle");
    private static final Script FENCE = Script.loadFenced(Attempts.class, "fence");
    private static final Script RELEASE = Script.loadWithLimits(Attempts.class, "release");
    private static final Script RESTORE = Script.loadWithLimits(Attempts.class, "restore");
    private static final Script RECORD_SETTLED = Script.loadWithLimits(Attempts.class, "record-settled");
    private static final Script RECORD_ENDED = Script.loadWithLimits(Attempts.class, "record-ended");
    private static final Script RELEASE_LOCK = Script.loadForConversion(Attempts.class, "release-lock");
    private static final int RESTORE_BATCH = 250;
    /** Bounds the results in a batch: Redis serves nobody else while a script runs. */
    private static final int MAX_RESTORE_CHARS = 4 * 1024 * 1024;

    private static final Set<String> LOST =
            Set.of(AgentStatus.INACTIVE.wireName(), AgentStatus.STALE.wireName(), AgentStatus.ERROR.wireName());
    private static final Script CLEAR_LOST = Script.load(Attempts.class, "clear-lost");
    private static final Script SCHEDULE_DEADLINE_CHECK = Script.load(Attempts.class, "schedule-deadline-check");
    private static final Script DELETE_EXPIRED = Script.load(Attempts.class, "delete-expired");
    private static final Script DROP_HELD = Script.load(Attempts.class, "drop-held");
    private static final String DELETE_BATCH = "1000";
    /** Batch limit per agent: the payloads of a batch are read and appended together. */
    static final int MAX_BATCH = 500;

    private static final Duration RECHECK_DELAY = Duration.ofMinutes(1);

    /** Longer than the next owner of a partition takes to read it. */
    private static final Duration UNCONFIRMED_TTL = Duration.ofHours(1);

    private final Redis redis;
    private final TaskStates states;
    private final Duration taskRetention;

    Attempts(Redis redis, Duration taskRetention) {
        this.redis = redis;
        this.states = new TaskStates(redis);
        this.taskRetention = taskRetention;
    }

    /** Which of the agents have no topic of their own now. */
    Set<String> withoutTopic(Collection<String> agentIds) {
        Map<String, CompletableFuture<String>> deliveries = new HashMap<>();
        agentIds.forEach(id ->
                deliveries.put(id, redis.readHash(Keys.agent(id), read -> read.hget(Keys.agent(id), "delivery"))));
        return deliveries.entrySet().stream()
                .filter(one -> {
                    String delivery = Redis.await(one.getValue());
                    return Delivery.PULL.wireName().equals(delivery)
                            || Delivery.PUSH.wireName().equals(delivery);
                })
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    /** The outcome of settling a result. */
    enum SettleOutcome {
        /** The task has ended as completed. */
        COMPLETED,
        /** The same, and the agent had reported progress. */
        COMPLETED_AFTER_PROGRESS,
        /** The task has ended as completed by this very result, read before. */
        REPEATED,
        /** The deadline was extended. */
        PROGRESSED,
        /** The attempt was live and did not succeed; nothing is changed yet, because the task must be requeued first. */
        TO_REQUEUE,
        /** Ignored: the attempt is no longer live. */
        LATE,
        /** Ignored: the task was never submitted, or was forgotten long ago. */
        UNKNOWN
    }

    /**
     * An attempt held by an agent.
     *
     * @param assignedAt the epoch if unknown
     * @param origin position of the task record that it was granted for; null if unknown
     */
    record HeldAttempt(
            String taskId,
            int attempt,
            String agentId,
            Instant assignedAt,
            @Nullable Position origin) {
        String assignmentId() {
            return Assignment.id(taskId, attempt);
        }
    }

    /** Settles results; the outcomes are in the same order. */
    List<SettleOutcome> settle(List<TaskResult> results, Instant now) {
        List<String> all = new ArrayList<>(5 * results.size());
        for (TaskResult result : results) {
            all.add(result.taskId());
            all.add(TaskRecord.live(result.attempt()));
            all.add(result.agentId());
            all.add(result.status().wireName());
            all.add(
                    switch (result.status()) {
                        case COMPLETED -> TaskRecord.outcome(result);
                        case PROGRESS -> result.result() == null ? "" : Json.text(result.result());
                        default -> "";
                    });
        }
        List<Object> arguments = List.of(String.valueOf(now.toEpochMilli()), Script.pack(all), usage(results));
        String letters = (String) SETTLE.runSync(redis, arguments).get(0);
        return letters.chars().mapToObj(letter -> settleOutcome((char) letter)).toList();
    }

    /**
     * How often the agents of attempts reported progress, by task. Tasks whose agent did not are absent, and those that are at another attempt.
     *
     * @param attemptsByTask the attempts, by task
     */
    Map<String, Integer> progressReports(Map<String, Integer> attemptsByTask) {
        Map<String, Integer> reports = new HashMap<>();
        if (!attemptsByTask.isEmpty()) {
            states.findAll(attemptsByTask.keySet()).forEach((taskId, state) -> {
                if (state.progressReports() > 0 && Objects.equals(attemptsByTask.get(taskId), state.attempt())) {
                    reports.put(taskId, state.progressReports());
                }
            });
        }
        return reports;
    }

    /** What completed attempts really used of limits, as JSON: assignment id → name → units; empty if none says so. */
    private static String usage(List<TaskResult> results) {
        Map<String, Map<String, Long>> usage = new HashMap<>();
        for (TaskResult result : results) {
            if (!result.usage().isEmpty()) {
                usage.put(Assignment.id(result.taskId(), result.attempt()), result.usage());
            }
        }
        return usage.isEmpty() ? "" : Json.text(usage);
    }

    private static SettleOutcome settleOutcome(char letter) {
        return switch (letter) {
            case 'c' -> SettleOutcome.COMPLETED;
            case 'C' -> SettleOutcome.COMPLETED_AFTER_PROGRESS;
            case 's' -> SettleOutcome.REPEATED;
            case 'p' -> SettleOutcome.PROGRESSED;
            case 'g' -> SettleOutcome.TO_REQUEUE;
            case 'l' -> SettleOutcome.LATE;
            case 'u' -> SettleOutcome.UNKNOWN;
            default -> throw new IllegalStateException("unexpected answer of settle.lua: " + letter);
        };
    }

    /**
     * Fences attempts that have no successor: their results no longer count. Must be called before their dead letters are written; {@link
     * #release} completes it afterwards. Idempotent.
     *
     * @return for each attempt, in the same order, false if it is not live, because a result or a cancellation came first
     */
    List<Boolean> fence(List<HeldAttempt> held) {
        if (held.isEmpty()) {
            return List.of();
        }
        List<String> arguments = new ArrayList<>(3 * held.size());
        for (HeldAttempt one : held) {
            arguments.addAll(List.of(one.taskId(), String.valueOf(one.attempt()), one.agentId()));
        }
        return digits(FENCE.runSync(redis, arguments));
    }

    /**
     * An unsuccessful attempt whose task was requeued or dead-lettered.
     *
     * @param error the reason, as JSON
     * @param next the task as it was requeued, and where; null if it has failed permanently
     * @param isReported whether its agent reported it; otherwise it may still be working
     * @param limits what its agent reported about limits; null if nothing
     */
    record Released(
            HeldAttempt held,
            String error,
            @Nullable Requeued next,
            boolean isReported,
            @Nullable LimitReport limits) {
        /** An attempt that its agent reported, and nothing about limits. */
        Released(HeldAttempt held, String error, @Nullable Requeued next) {
            this(held, error, next, true, null);
        }
    }

    /**
     * What an agent reported about limits.
     *
     * @param usage units that the attempt really used, by name
     * @param limit of which no units are granted for some time; null if there is none
     * @param seconds for how long
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record LimitReport(Map<String, Long> usage, @Nullable String limit, double seconds) {
        /** Null if it says nothing. */
        static @Nullable LimitReport of(TaskResult result) {
            boolean closes = result.limit() != null && result.retryAfterSeconds() != null;
            return result.usage().isEmpty() && !closes
                    ? null
                    : new LimitReport(
                            result.usage(),
                            closes ? result.limit() : null,
                            Objects.requireNonNullElse(result.retryAfterSeconds(), 0.0));
        }
    }

    /** A task as it was requeued, and the position of its record. */
    record Requeued(Task task, Position position) {}

    /**
     * Ends unsuccessful attempts.
     *
     * @return for each attempt, in the same order, false if it was no longer live
     */
    List<Boolean> release(List<Released> attempts, Instant now) {
        if (attempts.isEmpty()) {
            return List.of();
        }
        List<String> arguments = new ArrayList<>(1 + 6 * attempts.size());
        arguments.add(String.valueOf(now.toEpochMilli()));
        for (Released one : attempts) {
            arguments.add(one.held().taskId());
            arguments.add(String.valueOf(one.held().attempt()));
            arguments.add(one.held().agentId());
            arguments.add(one.error());
            arguments.add(
                    one.next() == null
                            ? ""
                            : TaskRecord.queued(one.next().task(), one.next().position()));
            arguments.add(one.limits() != null ? Json.text(one.limits()) : one.isReported() ? "" : "lost");
        }
        return digits(RELEASE.runSync(redis, arguments));
    }

    private static List<Boolean> digits(List<Object> answer) {
        return ((String) answer.get(0)).chars().mapToObj(digit -> digit == '1').toList();
    }

    /**
     * Announces tasks that never reached the agents recorded as holding them, so that the owners of their records publish them: the
     * publisher died after another had taken over.
     */
    void publishUnpublished(Collection<String> taskIds) {
        redis.sync().publish(redis.channel(Keys.AGENT_EVENTS), Json.text(Map.of("unpublished", taskIds)));
    }

    /**
     * Restores agents' live attempts from Kafka, where nothing newer is known; fails if the lock has been lost.
     *
     * @return the number restored
     */
    int restore(String lock, Collection<Assignment> assignments, Instant now) {
        int restored = 0;
        List<Assignment> left = List.copyOf(assignments);
        for (int from = 0; from < left.size(); from += RESTORE_BATCH) {
            List<String> arguments = new ArrayList<>();
            arguments.add(String.valueOf(now.toEpochMilli()));
            arguments.add(lock);
            for (Assignment one : left.subList(from, Math.min(left.size(), from + RESTORE_BATCH))) {
                arguments.add(one.taskId());
                arguments.add(one.agentId());
                arguments.add(TaskRecord.restored(one, now));
                arguments.add(TaskRecord.inflightEntry(
                        one.attempt(), one.assignedAt(), now.plusSeconds(one.timeoutSeconds()), null));
            }
            restored += ((Long) RESTORE.runSync(redis, arguments).get(0)).intValue();
        }
        return restored;
    }

    /**
     * Records settled tasks from Kafka, where nothing newer is known: completed, or waiting for the next attempt. Fails if the lock has been
     * lost.
     *
     * @param isUncounted whether the counters lack them too, as they have lost the same writes
     * @return the results that were recorded
     */
    List<TaskResult> recordSettled(String lock, Map<Assignment, TaskResult> settled, boolean isUncounted, Instant now) {
        List<TaskResult> recorded = new ArrayList<>();
        int chars = 0;
        List<TaskResult> batch = new ArrayList<>();
        List<String> head = List.of(lock, String.valueOf(UNCONFIRMED_TTL.toSeconds()), isUncounted ? "1" : "");
        List<String> arguments = new ArrayList<>(head);
        for (Map.Entry<Assignment, TaskResult> one : settled.entrySet()) {
            String record = TaskRecord.settled(one.getKey(), one.getValue(), now);
            chars += record.length();
            arguments.add(one.getKey().taskId());
            arguments.add(record);
            batch.add(one.getValue());
            if (batch.size() == RESTORE_BATCH || chars > MAX_RESTORE_CHARS) {
                recorded.addAll(recordSettled(arguments, batch));
                arguments = new ArrayList<>(head);
                batch.clear();
                chars = 0;
            }
        }
        recorded.addAll(recordSettled(arguments, batch));
        return recorded;
    }

    private List<TaskResult> recordSettled(List<String> arguments, List<TaskResult> batch) {
        List<Boolean> recorded = digits(RECORD_SETTLED.runSync(redis, arguments));
        return IntStream.range(0, batch.size())
                .filter(recorded::get)
                .mapToObj(batch::get)
                .toList();
    }

    /**
     * Records how tasks ended without a result, or were redriven, where nothing newer is known; fails if the lock has been lost.
     *
     * @param events failed, cancelled, expired and redriven, those of a task in their order
     * @param isUncounted whether the counters lack them too, as they have lost the same writes
     * @return the number of changes
     */
    int recordEnded(String lock, List<TaskEvent> events, boolean isUncounted) {
        int recorded = 0;
        for (int from = 0; from < events.size(); from += RESTORE_BATCH) {
            List<String> arguments = new ArrayList<>();
            arguments.add(lock);
            arguments.add(isUncounted ? "1" : "");
            for (TaskEvent event : events.subList(from, Math.min(events.size(), from + RESTORE_BATCH))) {
                arguments.add(event.taskId());
                arguments.add(String.valueOf(event.change().attempt()));
                arguments.add(
                        switch (event.kind()) {
                            case FAILED -> "f";
                            case CANCELLED -> "x";
                            case EXPIRED -> "e";
                            case REDRIVEN -> "r";
                            default ->
                                throw new IllegalArgumentException("not an end without a result: " + event.kind());
                        });
                arguments.add(String.valueOf(event.time().toEpochMilli()));
                JsonNode error = event.change().error();
                arguments.add(error == null ? "" : Json.text(error));
            }
            recorded += ((Long) RECORD_ENDED.runSync(redis, arguments).get(0)).intValue();
        }
        return recorded;
    }

    /** See {@link Redis#indexMark()}. */
    @Nullable
    String indexMark() {
        return redis.indexMark();
    }

    /** States by task id; unknown tasks are absent. */
    Map<String, TaskState> states(Collection<String> taskIds) {
        return states.findAll(taskIds);
    }

    /** Marks the index complete and releases the lock; fails if the lock has been lost. */
    void markIndexComplete(String lock, Instant now) {
        RELEASE_LOCK.runSync(redis, List.of(lock, String.valueOf(now.toEpochMilli())));
    }

    /** Releases the lock, if it is still held. */
    void releaseLock(String lock) {
        RELEASE_LOCK.runSync(redis, List.of(lock, ""));
    }

    /** Announces that Redis has been rebuilt, and has no record of waiting tasks. */
    void publishRebuilt() {
        redis.sync().publish(redis.channel(Keys.AGENT_EVENTS), "{\"rebuilt\":true}");
    }

    /** Agents that may hold an assignment past its deadline. */
    List<String> agentsDue(Instant now) {
        Range<Long> past = Range.from(Range.Boundary.unbounded(), Range.Boundary.including(now.toEpochMilli()));
        return redis.sync().zrangebyscore(Keys.DEADLINES, past);
    }

    /**
     * Marks all agents due for a check of their deadlines. Deadlines may be missing for assignments made by an earlier version, or after
     * Redis was restored from an old file.
     */
    void markAllDue() {
        Set<String> agentIds = redis.sync().smembers(Keys.KNOWN_AGENTS);
        if (!agentIds.isEmpty()) {
            redis.sync()
                    .zadd(
                            Keys.DEADLINES,
                            ZAddArgs.Builder.lt(),
                            agentIds.stream()
                                    .map(id -> ScoredValue.just(0, id))
                                    .<ScoredValue<String>>toArray(ScoredValue[]::new));
        }
    }

    /**
     * Overdue assignments of an agent, at most {@value #MAX_BATCH} not counting those known to be reported. As long as it holds any
     * assignment, the agent is due again: immediately if some were overdue, else at its next deadline, or within a minute.
     */
    List<HeldAttempt> overdue(String agentId, Instant now, Set<String> reported) {
        Instant next = now.plus(RECHECK_DELAY);
        Long count = (Long) SCHEDULE_DEADLINE_CHECK
                .runSync(redis, List.of(agentId, String.valueOf(next.toEpochMilli())))
                .get(0);
        if (count == 0) {
            return List.of();
        }
        List<HeldAttempt> overdue = new ArrayList<>();
        int unreported = 0;
        Map<String, String> entries = inflightEntries(agentId);
        Map<String, HeldAssignment> held = new LinkedHashMap<>();
        entries.forEach((taskId, entry) -> held.put(taskId, HeldAssignment.read(taskId, entry)));
        Map<String, TaskState> tasks = states.findAll(held.values().stream()
                .filter(one -> !one.deadline().isAfter(now))
                .map(HeldAssignment::taskId)
                .toList());
        for (HeldAssignment one : held.values()) {
            if (!one.deadline().isAfter(now)) {
                TaskState task = tasks.get(one.taskId());
                HeldAttempt live = live(agentId, one, Objects.requireNonNull(entries.get(one.taskId())), task);
                // A later attempt of the same agent has its own deadline.
                if (live == null || !one.isCorrupt() && live.attempt() != one.attempt()) {
                    continue;
                }
                if (task != null) {
                    one = one.afterProgress(task);
                }
                if (!one.deadline().isAfter(now)) {
                    overdue.add(live);
                    unreported += reported.contains(live.assignmentId()) ? 0 : 1;
                    if (unreported == MAX_BATCH) {
                        break;
                    }
                }
            }
            next = one.deadline().isBefore(next) ? one.deadline() : next;
        }
        next = overdue.isEmpty() ? next : now;
        redis.sync().zadd(Keys.DEADLINES, ZAddArgs.Builder.lt(), (double) next.toEpochMilli(), agentId);
        return overdue;
    }

    /** Deletes some of the tasks whose retention has expired since they ended; false if there are none. */
    boolean deleteExpired() {
        List<String> arguments = List.of(String.valueOf(taskRetention.toSeconds()), DELETE_BATCH);
        return (Long) DELETE_EXPIRED.runSync(redis, arguments).get(0) > 0;
    }

    /** Reads a live attempt from Redis. */
    HeldAttempt held(String taskId, int attempt, String agentId) {
        String entry = redis.readHashSync(Keys.inflight(agentId), read -> read.hget(Keys.inflight(agentId), taskId));
        if (entry != null) {
            HeldAssignment held = HeldAssignment.read(taskId, entry);
            if (held.attempt() == attempt) {
                return new HeldAttempt(taskId, attempt, agentId, held.assignedAt(), origin(held));
            }
        }
        Instant assignedAt = states.find(taskId).map(TaskState::assignedAt).orElse(Instant.EPOCH);
        return new HeldAttempt(taskId, attempt, agentId, assignedAt, null);
    }

    /** Agents that were lost and may still hold assignments from before, and when they were lost. */
    Map<String, Instant> lostAgents() {
        Map<String, Instant> lost = new HashMap<>();
        redis.sync()
                .zrangeWithScores(Keys.LOST_AGENTS, 0, -1)
                .forEach(one -> lost.put(one.getValue(), Instant.ofEpochMilli((long) one.getScore())));
        return lost;
    }

    /**
     * Unsettled assignments that an agent was given before it was lost, at most {@value #MAX_BATCH} not counting those known to be
     * reported. If the agent has returned, later ones were given to it since. If it has not, all are from before, whatever their times say:
     * the clocks of coordinators differ, and a heartbeat is older than its effect.
     */
    List<HeldAttempt> heldBefore(String agentId, Instant lostAt, Set<String> reported) {
        List<HeldAttempt> all = new ArrayList<>();
        int unreported = 0;
        // Read before the status: what the agent is given after its return is not among them.
        Map<String, String> entries = inflightEntries(agentId);
        boolean isLost = isLost(agentId);
        Map<String, TaskState> tasks = states.findAll(entries.keySet());
        for (Map.Entry<String, String> entry : entries.entrySet()) {
            HeldAttempt held = live(
                    agentId,
                    HeldAssignment.read(entry.getKey(), entry.getValue()),
                    entry.getValue(),
                    tasks.get(entry.getKey()));
            if (held != null && (isLost || !held.assignedAt().isAfter(lostAt))) {
                all.add(held);
                unreported += reported.contains(held.assignmentId()) ? 0 : 1;
                if (unreported == MAX_BATCH) {
                    break;
                }
            }
        }
        return all;
    }

    private boolean isLost(String agentId) {
        String status = redis.readHashSync("agent:" + agentId, read -> read.hget("agent:" + agentId, "status"));
        return status != null && LOST.contains(status);
    }

    /** Records that all assignments held when the agent was lost have been requeued. */
    void clearLost(String agentId, Instant lostAt) {
        CLEAR_LOST.runSync(redis, List.of(agentId, String.valueOf(lostAt.toEpochMilli())));
    }

    private Map<String, String> inflightEntries(String agentId) {
        return redis.readHashSync(Keys.inflight(agentId), read -> read.hgetall(Keys.inflight(agentId)));
    }

    /**
     * The attempt of a task that an agent holds, according to the task's record, or to the entry in the in-flight hash if the record was
     * corrupt and quarantined. Null if there is none: that entry is then corrupt or outdated, and is quarantined.
     */
    private @Nullable HeldAttempt live(String agentId, HeldAssignment entry, String text, @Nullable TaskState task) {
        if (task != null && task.isAssignedTo(agentId)) {
            int attempt = task.attempt();
            return new HeldAttempt(
                    entry.taskId(),
                    attempt,
                    agentId,
                    Objects.requireNonNull(task.assignedAt()),
                    entry.attempt() == attempt ? origin(entry) : null);
        }
        if (task == null && !entry.isCorrupt()) {
            return new HeldAttempt(entry.taskId(), entry.attempt(), agentId, entry.assignedAt(), origin(entry));
        }
        DROP_HELD.runSync(redis, List.of(agentId, entry.taskId(), text));
        return null;
    }

    private static @Nullable Position origin(HeldAssignment entry) {
        return entry.origin() == null ? null : Position.parse(entry.origin()).orElse(null);
    }
}

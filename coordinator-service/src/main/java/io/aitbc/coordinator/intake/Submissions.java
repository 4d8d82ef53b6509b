package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.intake.SubmissionClaims.Claim;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.queue.TaskIds;
import io.aitbc.coordinator.queue.TaskQueue;
import io.aitbc.coordinator.queue.TaskRecords;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.security.ThrottledException;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.coordinator.trace.TaskSpan;
import io.aitbc.coordinator.trace.Traces;
import io.lettuce.core.RedisException;
import io.opentelemetry.api.trace.SpanKind;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Accepts tasks over REST. Thread-safe. */
public final class Submissions {
    private static final Logger log = LoggerFactory.getLogger(Submissions.class);
    private static final long WAIT_SECONDS = 10;
    /** Longer than the holder waits for Kafka and Redis. */
    private static final Duration CLAIM_TTL = Duration.ofSeconds(20);

    private static final long RETRY_INTERVAL_MS = 20;

    private final TaskQueue queue;
    private final TaskRecords records;
    private final QueueLimit limit;
    private final TaskStates states;
    private final SubmissionClaims claims;
    private final Traces traces;
    private final Clock clock;

    public Submissions(
            TaskQueue queue,
            TaskRecords records,
            QueueLimit limit,
            TaskStates states,
            Redis redis,
            Traces traces,
            Clock clock) {
        this.limit = limit;
        this.traces = traces;
        this.queue = queue;
        this.records = records;
        this.states = states;
        this.claims = new SubmissionClaims(redis);
        this.clock = clock;
    }

    /**
     * @param existingStatus null if the task is new; if its id was submitted before, the current status of that task, which the other
     *     components describe
     */
    public record Accepted(
            String taskId,
            Priority priority,
            Instant submittedAt,
            @Nullable TaskStatus existingStatus) {
        public boolean repeated() {
            return existingStatus != null;
        }
    }

    /**
     * Enqueues a task. A task with a known id is not enqueued again: the first submission is returned, also to concurrent callers. Without
     * Redis this cannot be checked, and the task is enqueued; the reservation keeps it from running twice. A caller with a scope must wait
     * for Redis, unless it leaves the choice of the id to the coordinator.
     *
     * @param trace of the submission; null if there is none
     * @param scope the fairness key of the tasks that the caller may see; null: all tasks
     * @throws IdTakenException if the id belongs to a task outside the caller's scope
     * @throws NotAcceptedException if Kafka does not confirm the task in time
     * @throws ThrottledException if its queue is full
     */
    public Accepted submit(Task task, @Nullable String trace, @Nullable String scope) throws InterruptedException {
        Outcome outcome = submit(List.of(task), trace, scope).get(0);
        if (outcome.failure() != null) {
            throw outcome.failure();
        }
        return Objects.requireNonNull(outcome.accepted());
    }

    /** The outcome for one task of a batch: accepted or failed. */
    public record Outcome(
            @Nullable Accepted accepted, @Nullable RuntimeException failure) {
        /** The outcome for a duplicate id in the same batch. */
        private Outcome repeated() {
            return accepted == null || accepted.repeated()
                    ? this
                    : new Outcome(
                            new Accepted(
                                    accepted.taskId(), accepted.priority(), accepted.submittedAt(), TaskStatus.QUEUED),
                            null);
        }
    }

    /**
     * A task being enqueued.
     *
     * @param named whether the caller chose its id, so that others may submit the same id
     */
    private record NewTask(Task task, Priority priority, boolean named) {
        String id() {
            return task.id();
        }
    }

    /** Enqueues tasks independently of one another; the outcomes are in the same order. */
    public List<Outcome> submit(List<Task> tasks, @Nullable String trace, @Nullable String scope)
            throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        List<String> inOrder = new ArrayList<>(tasks.size());
        Map<String, NewTask> pending = new LinkedHashMap<>();
        for (Task task : tasks) {
            NewTask fresh = newTask(task);
            inOrder.add(fresh.id());
            pending.putIfAbsent(fresh.id(), fresh);
        }
        Map<String, Outcome> outcomes = resolve(pending, trace, scope, until);
        List<Outcome> answers = new ArrayList<>(tasks.size());
        Set<String> answered = new HashSet<>();
        for (String id : inOrder) {
            Outcome outcome = Objects.requireNonNull(outcomes.get(id));
            answers.add(answered.add(id) ? outcome : outcome.repeated());
        }
        return answers;
    }

    private NewTask newTask(Task task) {
        return new NewTask(
                task.firstAttempt().accepted(task.taskId() == null ? TaskIds.next() : task.taskId(), clock.instant()),
                task.priority() == null ? Priority.NORMAL : task.priority(),
                task.taskId() != null);
    }

    /** Repeats rounds until no task is left that another caller is submitting. */
    private Map<String, Outcome> resolve(
            Map<String, NewTask> pending, @Nullable String trace, @Nullable String scope, long until)
            throws InterruptedException {
        Map<String, Outcome> outcomes = new HashMap<>();
        String holder = TaskIds.next();
        boolean redisAnswers = true;
        while (!pending.isEmpty()) {
            Map<String, Claim> answers = Map.of();
            try {
                answers = redisAnswers ? claim(holder, pending.values()) : Map.of();
            } catch (RedisException e) {
                if (scope != null && pending.values().stream().anyMatch(NewTask::named)) {
                    // The ids may belong to others.
                    throw e;
                }
                // Asking again would time out again.
                redisAnswers = false;
                log.atDebug().log("Treated as new, Redis unavailable: {}", e.toString());
            }
            List<NewTask> mine = new ArrayList<>();
            for (NewTask fresh : List.copyOf(pending.values())) {
                Claim claim = answers.getOrDefault(fresh.id(), Claim.OURS);
                if (claim.isBusy() && System.nanoTime() - until < 0) {
                    continue;
                }
                pending.remove(fresh.id());
                TaskState existing = claim.existing();
                Accepted first = first(fresh.id(), existing);
                if (first != null && existing != null && scope != null && !scope.equals(existing.fairnessKey())) {
                    outcomes.put(fresh.id(), new Outcome(null, new IdTakenException()));
                } else if (first != null) {
                    outcomes.put(fresh.id(), new Outcome(first, null));
                } else if (claim.isBusy()) {
                    outcomes.put(fresh.id(), new Outcome(null, new NotAcceptedException(new TimeoutException())));
                } else {
                    mine.add(fresh);
                }
            }
            Map<Task, Position> positions = new IdentityHashMap<>();
            outcomes.putAll(append(mine, trace, until, positions));
            if (redisAnswers) {
                recordAccepted(holder, mine, positions);
            }
            if (!pending.isEmpty()) {
                TimeUnit.MILLISECONDS.sleep(RETRY_INTERVAL_MS);
            }
        }
        return outcomes;
    }

    private Map<String, Claim> claim(String holder, Collection<NewTask> pending) {
        List<String> ids =
                pending.stream().filter(NewTask::named).map(NewTask::id).toList();
        return ids.isEmpty() ? Map.of() : claims.claim(holder, ids, CLAIM_TTL);
    }

    /** The first submission under an id; null if there is none, or Redis does not know its terms. */
    private static @Nullable Accepted first(String taskId, @Nullable TaskState existing) {
        if (existing == null || existing.priority() == null || existing.submittedAt() == null) {
            return null;
        }
        return new Accepted(taskId, existing.priority(), existing.submittedAt(), existing.status());
    }

    /** @param positions gets those of the tasks that are appended */
    private Map<String, Outcome> append(
            List<NewTask> mine, @Nullable String trace, long until, Map<Task, Position> positions)
            throws InterruptedException {
        Map<String, Outcome> outcomes = new HashMap<>();
        Map<String, CompletableFuture<Position>> sent = new HashMap<>();
        for (NewTask fresh : mine) {
            Optional<ThrottledException> refusal = limit.refuses(fresh.priority());
            if (refusal.isPresent()) {
                outcomes.put(fresh.id(), new Outcome(null, refusal.get()));
                continue;
            }
            CompletableFuture<Position> appended = System.nanoTime() - until < 0
                    ? append(fresh.task(), fresh.priority(), trace)
                    : CompletableFuture.failedFuture(new TimeoutException());
            sent.put(fresh.id(), appended.whenComplete((done, failure) -> limit.end(fresh.priority())));
        }
        Map<String, NotAcceptedException> failures = awaitAll(sent, until);
        for (NewTask fresh : mine) {
            NotAcceptedException failure = failures.get(fresh.id());
            CompletableFuture<Position> appended = sent.get(fresh.id());
            if (appended != null && failure == null) {
                positions.put(fresh.task(), appended.join());
            }
            outcomes.putIfAbsent(
                    fresh.id(),
                    failure != null
                            ? new Outcome(null, failure)
                            : new Outcome(
                                    new Accepted(
                                            fresh.id(),
                                            fresh.priority(),
                                            fresh.task().acceptedAt(),
                                            null),
                                    null));
        }
        return outcomes;
    }

    /** Rejects a task that would be dead-lettered when read: the serialized form may be longer than the request. */
    private CompletableFuture<Position> append(Task task, Priority priority, @Nullable String trace) {
        byte[] bytes = Json.bytes(task);
        if (!records.accepts(bytes.length)) {
            return CompletableFuture.failedFuture(
                    new RecordTooLargeException("its record would have " + bytes.length + " bytes"));
        }
        TaskSpan span = traces.begin("submit", SpanKind.PRODUCER, task.id(), trace);
        return queue.append(task.id(), bytes, priority, span.trace())
                .whenComplete((done, failure) -> span.end(failure));
    }

    private static Map<String, NotAcceptedException> awaitAll(Map<String, CompletableFuture<Position>> sent, long until)
            throws InterruptedException {
        Map<String, NotAcceptedException> failures = new HashMap<>();
        for (Map.Entry<String, CompletableFuture<Position>> one : sent.entrySet()) {
            try {
                NotAcceptedException.await(one.getValue(), until - System.nanoTime());
            } catch (NotAcceptedException e) {
                failures.put(one.getKey(), e);
            }
        }
        return failures;
    }

    /** Makes accepted tasks visible in Redis, and only then releases their claims, so that other submitters see them. */
    private void recordAccepted(String holder, List<NewTask> mine, Map<Task, Position> accepted) {
        try {
            if (!accepted.isEmpty()) {
                states.recordAccepted(accepted);
            }
            List<String> claimed =
                    mine.stream().filter(NewTask::named).map(NewTask::id).toList();
            if (!claimed.isEmpty()) {
                claims.release(holder, claimed);
            }
        } catch (RedisException e) {
            log.atDebug()
                    .addKeyValue("tasks", accepted.size())
                    .log("Accepted, but not recorded in Redis: {}", e.toString());
        }
    }

    /** Thrown if an id belongs to a task that the caller may not see. */
    public static final class IdTakenException extends RuntimeException {
        IdTakenException() {
            super("task_id is already in use");
        }
    }

    /** Thrown if Kafka did not acknowledge a record. It may have been appended anyway: retrying under the same id is safe. */
    public static final class NotAcceptedException extends RuntimeException {
        /** Waits until Kafka has acknowledged a record. */
        static <T extends @Nullable Object> T await(CompletableFuture<T> sent, long nanos) throws InterruptedException {
            try {
                return sent.get(Math.max(0, nanos), TimeUnit.NANOSECONDS);
            } catch (ExecutionException e) {
                throw new NotAcceptedException(e.getCause());
            } catch (TimeoutException e) {
                throw new NotAcceptedException(e);
            }
        }

        NotAcceptedException(@Nullable Throwable cause) {
            super(
                    "Kafka did not acknowledge the record: "
                            + (cause instanceof TimeoutException || cause == null
                                    ? "no response in time"
                                    : cause.getMessage()),
                    cause);
        }
    }
}

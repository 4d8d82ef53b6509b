package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.trace.Step;
import io.aitbc.coordinator.trace.Traces;
import io.lettuce.core.RedisException;
import io.opentelemetry.api.trace.SpanKind;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Accepts tasks over REST. May be used by any thread. */
public final class Submissions {
    private static final Logger log = LoggerFactory.getLogger(Submissions.class);
    private static final long WAIT_SECONDS = 10;

    private final TaskQueue queue;
    private final TaskRecords records;
    private final TaskStates states;
    private final Traces traces;
    private final Clock clock;

    public Submissions(TaskQueue queue, TaskRecords records, TaskStates states, Traces traces, Clock clock) {
        this.traces = traces;
        this.queue = queue;
        this.records = records;
        this.states = states;
        this.clock = clock;
    }

    /** @param repeated whether the task had been submitted before, and this is what was accepted then */
    public record Accepted(String taskId, Priority priority, Instant submittedAt, boolean repeated) {}

    /**
     * Puts a task into its queue. A task whose id is known already is not queued again: the first submission is the answer. Without
     * Redis that cannot be told, and the task is queued; the reservation keeps it from running twice.
     *
     * @param trace to which the submission belongs; null if it belongs to none
     * @throws NotTakenException if Kafka does not confirm the task in time
     */
    public Accepted submit(Task task, @Nullable String trace) throws InterruptedException {
        Outcome outcome = submit(List.of(task), trace).get(0);
        if (outcome.failure() != null) {
            throw outcome.failure();
        }
        return outcome.accepted();
    }

    /** What became of a task of several: either it was accepted, or it failed. */
    public record Outcome(
            @Nullable Accepted accepted, @Nullable NotTakenException failure) {}

    /** Puts tasks into their queues, each by itself; the outcomes stand in the same order. */
    public List<Outcome> submit(List<Task> tasks, @Nullable String trace) throws InterruptedException {
        Map<String, Accepted> known = firstSubmissions(tasks);
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        Map<Task, Priority> fresh = new IdentityHashMap<>();
        Map<String, CompletableFuture<Void>> sent = new HashMap<>();
        List<Task> inOrder = new ArrayList<>(tasks.size());
        for (Task task : tasks) {
            Task accepted = task.attempt(1, task.notBefore())
                    .accepted(task.taskId() == null ? TaskIds.next() : task.taskId(), clock.instant());
            inOrder.add(accepted);
            if (!known.containsKey(accepted.taskId())) {
                Priority priority = task.priority() == null ? Priority.NORMAL : task.priority();
                known.put(accepted.taskId(), new Accepted(accepted.taskId(), priority, accepted.submittedAt(), true));
                sent.put(
                        accepted.taskId(),
                        System.nanoTime() - until < 0
                                ? append(accepted, priority, trace)
                                : CompletableFuture.failedFuture(new TimeoutException()));
                fresh.put(accepted, priority);
            }
        }
        Map<String, NotTakenException> failures = awaitAll(sent, until);
        fresh.keySet().removeIf(task -> failures.containsKey(task.taskId()));
        noteAccepted(fresh);
        List<Outcome> outcomes = new ArrayList<>(tasks.size());
        for (Task task : inOrder) {
            Accepted first = known.get(task.taskId());
            NotTakenException failure = failures.get(task.taskId());
            outcomes.add(
                    failure != null
                            ? new Outcome(null, failure)
                            : new Outcome(
                                    new Accepted(
                                            first.taskId(),
                                            first.priority(),
                                            first.submittedAt(),
                                            !fresh.containsKey(task)),
                                    null));
        }
        return outcomes;
    }

    /** What would be set aside when it is read must not be accepted: a task may be longer written than it came. */
    private CompletableFuture<Void> append(Task task, Priority priority, @Nullable String trace) {
        byte[] bytes = Json.bytes(task);
        if (!records.takes(bytes.length)) {
            return CompletableFuture.failedFuture(
                    new RecordTooLargeException("it would have " + bytes.length + " bytes there"));
        }
        Step step = traces.begin("submit", SpanKind.PRODUCER, task.taskId(), trace);
        return queue.append(task.taskId(), bytes, priority, step.trace())
                .whenComplete((done, failure) -> step.end(failure));
    }

    private Map<String, Accepted> firstSubmissions(List<Task> tasks) {
        Map<String, Accepted> known = new HashMap<>();
        List<String> ids =
                tasks.stream().map(Task::taskId).filter(Objects::nonNull).toList();
        if (!ids.isEmpty()) {
            try {
                for (String taskId : states.accepted(ids)) {
                    states.find(taskId)
                            .filter(state -> state.containsKey("submitted_at"))
                            .map(state -> repeated(taskId, state))
                            .ifPresent(first -> known.put(taskId, first));
                }
            } catch (RedisException e) {
                log.atDebug().log("Taken for new without Redis: {}", e.toString());
            }
        }
        return known;
    }

    private static Accepted repeated(String taskId, Map<String, String> hash) {
        return new Accepted(
                taskId,
                hash.containsKey("priority") ? Priority.parse(hash.get("priority")) : Priority.NORMAL,
                Instant.parse(hash.get("submitted_at")),
                true);
    }

    private static Map<String, NotTakenException> awaitAll(Map<String, CompletableFuture<Void>> sent, long until)
            throws InterruptedException {
        Map<String, NotTakenException> failures = new HashMap<>();
        for (Map.Entry<String, CompletableFuture<Void>> one : sent.entrySet()) {
            try {
                one.getValue().get(Math.max(0, until - System.nanoTime()), TimeUnit.NANOSECONDS);
            } catch (ExecutionException e) {
                failures.put(one.getKey(), new NotTakenException(e.getCause()));
            } catch (TimeoutException e) {
                failures.put(one.getKey(), new NotTakenException(e));
            }
        }
        return failures;
    }

    private void noteAccepted(Map<Task, Priority> tasks) {
        if (!tasks.isEmpty()) {
            try {
                states.noteAccepted(tasks);
            } catch (RedisException e) {
                log.atDebug().addKeyValue("tasks", tasks.size()).log("Accepted without Redis: {}", e.toString());
            }
        }
    }

    /** Kafka did not confirm a task. It may be there all the same: submitting it again under the same id is safe. */
    public static final class NotTakenException extends RuntimeException {
        NotTakenException(Throwable cause) {
            super(
                    "Kafka did not take the task: "
                            + (cause instanceof TimeoutException ? "no answer in time" : cause.getMessage()),
                    cause);
        }
    }
}

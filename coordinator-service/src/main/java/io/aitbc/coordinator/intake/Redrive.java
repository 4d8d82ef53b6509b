package io.aitbc.coordinator.intake;

import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.deadletter.DeadLetterArchive;
import io.aitbc.coordinator.event.EventOutbox;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.queue.TaskIds;
import io.aitbc.coordinator.queue.TaskQueue;
import io.aitbc.coordinator.redis.Claims;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.coordinator.trace.TraceHeader;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** Redrives permanently failed tasks. Thread-safe. */
public final class Redrive {
    private static final Script REDRIVE = Script.loadWithLimits(Redrive.class, "redrive");
    private static final long WAIT_SECONDS = 10;
    private static final long RETRY_INTERVAL_MS = 20;
    /** Longer than the holder waits for Kafka and Redis. */
    private static final Duration CLAIM_TTL = Duration.ofSeconds(20);

    private final DeadLetterArchive archive;
    private final TaskQueue queue;
    private final Redis redis;
    private final Claims claims;
    private final TaskStates states;
    private final EventOutbox outbox;
    private final Clock clock;

    public Redrive(DeadLetterArchive archive, TaskQueue queue, Redis redis, EventOutbox outbox, Clock clock) {
        this.archive = archive;
        this.queue = queue;
        this.redis = redis;
        this.claims = new Claims(redis);
        this.states = new TaskStates(redis);
        this.outbox = outbox;
        this.clock = clock;
    }

    /**
     * A redriven task. It gets {@code max_attempts} further attempts, up to {@link Task#MAX_ATTEMPTS} in all.
     *
     * @param repeated whether it had been redriven before and has been waiting since
     */
    public record Redriven(String taskId, int attempt, Priority priority, boolean repeated) {}

    /** Thrown if a task cannot be redriven; the message is the reason. */
    public static final class NotPossibleException extends RuntimeException {
        private final boolean unknown;

        NotPossibleException(boolean unknown, String message) {
            super(message);
            this.unknown = unknown;
        }

        /** Whether there is no dead letter for its id. */
        public boolean isUnknown() {
            return unknown;
        }
    }

    /**
     * Requeues a failed task, once per failure, however many callers ask.
     *
     * @throws NotPossibleException if it has not failed, or the dead letter holds no task
     * @throws Submissions.NotAcceptedException if Kafka does not confirm it in time; the caller may retry
     */
    public Redriven redrive(String taskId) throws InterruptedException {
        return redrive(archive.find(taskId)
                .orElseThrow(() -> new NotPossibleException(true, "there is no dead letter with this task_id")));
    }

    /** Like {@link #redrive(String)}, with the newest dead letter of a task. */
    public Redriven redrive(DeadLetterArchive.Letter letter) throws InterruptedException {
        String priorityName = letter.header(DeadLetterHeaders.PRIORITY);
        if (priorityName == null) {
            throw new NotPossibleException(
                    false, "this dead letter cannot be redriven: " + letter.header(DeadLetterHeaders.DETAIL));
        }
        Priority priority = Priority.parse(priorityName);
        Task task = Json.read(letter.value(), Task.class);
        String taskId = task.id();
        int again = Math.min(attemptsAtFirst(task), Task.MAX_ATTEMPTS - task.attempt());
        if (again <= 0) {
            throw new NotPossibleException(false, "the task has used all " + Task.MAX_ATTEMPTS + " attempts");
        }
        String holder = TaskIds.next();
        acquireClaim(taskId, holder);
        Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
        Redriven redriven;
        try {
            redriven = redrive(task, priority, again, TraceHeader.checked(letter.header(TaskHeaders.TRACEPARENT)), now);
        } finally {
            claims.release(holder, List.of(Keys.redrive(taskId)));
        }
        if (!redriven.repeated()) {
            outbox.publish(List.of(TaskEvent.redriven(taskId, redriven.attempt(), priority, now)));
        }
        return redriven;
    }

    /** Those that it was submitted with: a redrive before this one has added as many. If Redis has forgotten the task, those it has now. */
    private int attemptsAtFirst(Task task) {
        int redriven = states.find(task.id())
                .map(state -> Integer.parseInt(state.fields().getOrDefault("redriven", "0")))
                .orElse(0);
        return redriven == 0 ? task.maxAttempts() : Math.max(1, task.maxAttempts() - (redriven - 1));
    }

    /** Serializes redrives of a task: the next caller sees the outcome. */
    private void acquireClaim(String taskId, String holder) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (!claims.tryAcquire(Keys.redrive(taskId), holder, CLAIM_TTL)) {
            if (System.nanoTime() - until >= 0) {
                throw new Submissions.NotAcceptedException(new TimeoutException());
            }
            TimeUnit.MILLISECONDS.sleep(RETRY_INTERVAL_MS);
        }
    }

    private Redriven redrive(Task task, Priority priority, int further, @Nullable String trace, Instant now)
            throws InterruptedException {
        String taskId = task.id();
        Task again = task.redriven(task.attempt(), Math.min(Task.MAX_ATTEMPTS, task.attempt() + further));
        List<Object> answer = REDRIVE.runSync(
                redis,
                List.of(
                        taskId,
                        TaskRecord.ended(again, TaskStatus.FAILED, priority, null, Instant.EPOCH),
                        String.valueOf(now.toEpochMilli()),
                        priority.wireName(),
                        outbox.noteFlag()));
        int attempt = ((Long) answer.get(1)).intValue();
        if (attempt == 0) {
            throw new NotPossibleException(
                    false, "only a failed task can be redriven, and this one is " + answer.get(0));
        }
        if (answer.get(2).equals(1L)) {
            return new Redriven(taskId, attempt, priority, true);
        }
        Task next = task.redriven(attempt, Math.min(Task.MAX_ATTEMPTS, attempt - 1 + further));
        states.recordAccepted(Map.of(next, append(next, priority, trace)));
        return new Redriven(taskId, attempt, priority, false);
    }

    private Position append(Task task, Priority priority, @Nullable String trace) throws InterruptedException {
        return Submissions.NotAcceptedException.await(
                queue.append(task, priority, trace), TimeUnit.SECONDS.toNanos(WAIT_SECONDS));
    }
}

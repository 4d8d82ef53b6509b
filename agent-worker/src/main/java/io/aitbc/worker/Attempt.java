package io.aitbc.worker;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/** An assignment from the time it is read until its result is acknowledged. */
final class Attempt implements Runnable, AssignmentContext {
    private static final Logger log = LoggerFactory.getLogger(Attempt.class);

    final Assignment assignment;
    final long offset;
    private final @Nullable Header trace;
    private final Handler handler;
    private final Results results;
    private final KafkaClock clock;
    private final Consumer<Attempt> over;
    private volatile Instant deadline;
    private @Nullable Thread thread;
    private volatile boolean cancelled;
    private final Map<String, Long> usage = new ConcurrentHashMap<>();
    private volatile boolean stopping;
    private volatile boolean mustGiveBack;
    private volatile @Nullable Instant startedAt;

    /** @param over called once, on any thread, when the result is acknowledged or dropped, or the attempt was cancelled */
    Attempt(
            Assignment assignment,
            long offset,
            @Nullable Header trace,
            Handler handler,
            Results results,
            KafkaClock clock,
            Consumer<Attempt> over) {
        this.assignment = assignment;
        this.offset = offset;
        this.trace = trace;
        this.handler = handler;
        this.results = results;
        this.clock = clock;
        this.over = over;
        this.deadline = assignment.deadline();
    }

    @Override
    public boolean isCancelled() {
        return cancelled || stopping;
    }

    @Override
    public Instant deadline() {
        return deadline;
    }

    @Override
    public Instant now() {
        return clock.now();
    }

    @Override
    public void progress(JsonNode soFar) {
        results.sendProgress(
                TaskResult.of(assignment, TaskResult.Status.PROGRESS, soFar, null, startedAt, null),
                trace,
                () -> deadline = clock.now().plusSeconds(assignment.timeoutSeconds()));
    }

    @Override
    public void used(String limit, long units) {
        usage.put(limit, units);
    }

    @Override
    public Map<String, Long> usage() {
        return Map.copyOf(usage);
    }

    @Override
    public @Nullable String traceparent() {
        return trace == null ? null : new String(trace.value(), StandardCharsets.UTF_8);
    }

    @Override
    public void run() {
        try {
            boolean started = tryStart();
            TaskResult result = !started ? null : isOverdue() ? expired() : outcome();
            if (finish() || !started) {
                over.accept(this);
            } else if (result != null) {
                send(result);
            }
        } catch (Throwable e) {
            // Frees the slot on any failure; the coordinator acts on the deadline.
            log.atError()
                    .setCause(e)
                    .addKeyValue("task_id", assignment.taskId())
                    .log("Gave up on {}", assignment.assignmentId());
            over.accept(this);
        }
    }

    private void send(TaskResult result) {
        results.send(result, trace, deadline, () -> over.accept(this));
    }

    /** Compares by Kafka's clock, because this machine's may be wrong. */
    private boolean isOverdue() {
        return assignment.deadline().isBefore(clock.now());
    }

    /**
     * Reports the attempt as failed, because an offset must not be committed without a report. The coordinator requeues an overdue
     * attempt by itself, but only while Redis has it: an emptied Redis is rebuilt from the assignments that agents have not committed.
     */
    private TaskResult expired() {
        String reason = "the deadline had passed before the attempt could start";
        log.atInfo().addKeyValue("task_id", assignment.taskId()).log("Attempt not started: {}", reason);
        deadline = clock.now().plusSeconds(assignment.timeoutSeconds());
        return TaskResult.of(assignment, TaskResult.Status.FAILED, null, Json.tree(reason), null, null);
    }

    /** Returns null if the attempt is left to the process that has taken over the agent. */
    private @Nullable TaskResult outcome() {
        startedAt = clock.now();
        TaskResult result = handler.run(assignment, this);
        if (result.status() == TaskResult.Status.FAILED && stopping) {
            return mustGiveBack ? unfinished() : null;
        }
        if (result.status() == TaskResult.Status.FAILED) {
            log.atInfo().addKeyValue("task_id", assignment.taskId()).log("Attempt failed: {}", result.reason());
        }
        return result;
    }

    /** The agent stops: another one gets the task, without using up an attempt. */
    private TaskResult unfinished() {
        return TaskResult.of(
                assignment,
                TaskResult.Status.REJECTED,
                null,
                Json.tree("agent " + assignment.agentId() + " stopped before the task was done"),
                null,
                null);
    }

    /** Gives back an attempt that has not started. */
    void giveBack() {
        if (!cancelled) {
            send(unfinished());
        }
    }

    /** Returns false if the attempt was cancelled before it started. */
    private synchronized boolean tryStart() {
        thread = Thread.currentThread();
        return !cancelled;
    }

    /** Returns whether the attempt was cancelled; later cancellations have no effect. */
    private synchronized boolean finish() {
        thread = null;
        // An interrupt sent to the handler, or set by it, must not affect sending the result.
        Thread.interrupted();
        return cancelled;
    }

    synchronized void cancel() {
        cancelled = true;
        if (thread != null) {
            thread.interrupt();
        }
    }

    /**
     * Interrupts the handler, because the agent stops.
     *
     * @param giveBack false to report nothing
     */
    synchronized void stop(boolean giveBack) {
        mustGiveBack = giveBack;
        stopping = true;
        if (thread != null) {
            thread.interrupt();
        }
    }
}

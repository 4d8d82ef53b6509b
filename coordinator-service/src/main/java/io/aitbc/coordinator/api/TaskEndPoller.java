package io.aitbc.coordinator.api;

import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.CallerShare;
import io.aitbc.coordinator.security.OpenCalls;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.springframework.boot.web.server.context.WebServerApplicationContext;
import org.springframework.context.SmartLifecycle;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.context.request.async.DeferredResult;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.node.ObjectNode;

/**
 * Completes long polls for ended tasks. One thread polls Redis for all of them at once, about twenty times a second, so that waiting
 * callers occupy no threads.
 */
@Component
final class TaskEndPoller implements SmartLifecycle, AutoCloseable {
    private static final int MAX_WAITING = 10_000;
    private static final int MAX_NAMES = 10;
    private static final Duration POLL_INTERVAL = Duration.ofMillis(50);
    private static final long TIMEOUT_MARGIN_MS = 10_000;

    private final TaskStates states;
    private final OpenCalls calls;
    private final ConcurrentLinkedQueue<Waiting> waiting = new ConcurrentLinkedQueue<>();
    private final Semaphore permits = new Semaphore(MAX_WAITING);
    private final CallerShare share = new CallerShare(MAX_WAITING / 2, MAX_WAITING / 20);
    private final PeriodicJob poller = new PeriodicJob("task-ends", POLL_INTERVAL, this::poll);
    private volatile boolean stopping;

    /** Results may be large. */
    private static final int READ_BATCH = 100;

    /** @param hidden whether the task has ended, and is not the caller's to see */
    private record Waiting(
            String taskId,
            long untilNanos,
            Caller caller,
            Function<TaskState, ObjectNode> present,
            DeferredResult<ObjectNode> result,
            AtomicBoolean hidden) {
        boolean isOver(long now) {
            return now - untilNanos >= 0;
        }
    }

    TaskEndPoller(TaskStates states, OpenCalls calls) {
        this.states = states;
        this.calls = calls;
        poller.start();
    }

    @Override
    public void start() {
        stopping = false;
    }

    /** Answers all calls. */
    @Override
    public void stop() {
        stopping = true;
    }

    @Override
    public boolean isRunning() {
        return !stopping;
    }

    /** Stops just before the server waits for its calls to end. */
    @Override
    public int getPhase() {
        return WebServerApplicationContext.GRACEFUL_SHUTDOWN_PHASE + 1;
    }

    @Override
    public void close() {
        poller.close();
    }

    static DeferredResult<ObjectNode> immediate(ObjectNode answer) {
        DeferredResult<ObjectNode> result = new DeferredResult<>();
        result.setResult(answer);
        return result;
    }

    /**
     * The state of a task once it has ended, or its current state at the timeout, or when this coordinator stops. Also waits for an
     * unknown task: a record just sent to Kafka may not have been read yet.
     */
    DeferredResult<ObjectNode> await(
            String taskId, Duration time, Caller caller, Function<TaskState, ObjectNode> present) {
        if (!share.tryAcquire(caller)) {
            throw new ResponseStatusException(
                    HttpStatus.SERVICE_UNAVAILABLE,
                    "too many calls with this credential are waiting: retry without wait");
        }
        if (!permits.tryAcquire()) {
            share.release(caller);
            throw new ResponseStatusException(
                    HttpStatus.SERVICE_UNAVAILABLE, MAX_WAITING + " callers are waiting already: retry without wait");
        }
        DeferredResult<ObjectNode> result = new DeferredResult<>(time.toMillis() + TIMEOUT_MARGIN_MS);
        result.onTimeout(() -> result.setErrorResult(new ResponseStatusException(
                HttpStatus.SERVICE_UNAVAILABLE, "the state of the task could not be read from Redis")));
        Runnable unwatch = calls.watch(caller, () -> result.setErrorResult(Caller.ended()));
        result.onCompletion(() -> {
            unwatch.run();
            permits.release();
            share.release(caller);
        });
        waiting.add(
                new Waiting(taskId, System.nanoTime() + time.toNanos(), caller, present, result, new AtomicBoolean()));
        return result;
    }

    /** The names of those who wait for a task here, each once, at most {@value #MAX_NAMES}. */
    List<String> callersOf(String taskId) {
        return waiting.stream()
                .filter(one -> one.taskId.equals(taskId) && !one.result.isSetOrExpired())
                .map(one -> one.caller.name())
                .distinct()
                .sorted()
                .limit(MAX_NAMES)
                .toList();
    }

    private void poll() {
        waiting.removeIf(one -> one.result.isSetOrExpired());
        if (waiting.isEmpty()) {
            return;
        }
        boolean allDue = stopping;
        try {
            answerDue(allDue);
        } catch (RuntimeException e) {
            if (allDue) {
                waiting.forEach(one -> one.result.setErrorResult(isStopping()));
            }
            throw e;
        }
    }

    private void answerDue(boolean allDue) {
        Set<String> taskIds = new HashSet<>();
        waiting.forEach(one -> taskIds.add(one.taskId));
        Map<String, TaskStatus> statuses = states.statuses(taskIds);
        long now = System.nanoTime();
        List<Waiting> due = waiting.stream()
                .filter(one -> {
                    TaskStatus status = statuses.get(one.taskId);
                    return allDue || one.isOver(now) || status != null && status.hasEnded() && !one.hidden.get();
                })
                .toList();
        for (int from = 0; from < due.size(); from += READ_BATCH) {
            List<Waiting> some = due.subList(from, Math.min(due.size(), from + READ_BATCH));
            Map<String, TaskState> found =
                    states.findAll(some.stream().map(one -> one.taskId).collect(Collectors.toSet()));
            some.forEach(one -> answer(one, Optional.ofNullable(found.get(one.taskId)), allDue || one.isOver(now)));
        }
    }

    private static ResponseStatusException isStopping() {
        return new ResponseStatusException(HttpStatus.SERVICE_UNAVAILABLE, "this coordinator is stopping: retry");
    }

    private void answer(Waiting one, Optional<TaskState> found, boolean isOver) {
        Optional<TaskState> state = found.filter(task -> one.caller.maySee(one.taskId, task.fairnessKey()));
        if (state.isPresent()) {
            one.result.setResult(one.present.apply(state.get()));
        } else if (isOver) {
            // Not before: another's task must look like an unknown one.
            one.result.setErrorResult(stopping ? isStopping() : Problems.taskNotFound());
        } else {
            one.hidden.set(true);
        }
    }
}

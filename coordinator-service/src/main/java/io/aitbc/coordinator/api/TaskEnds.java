package io.aitbc.coordinator.api;

import io.aitbc.coordinator.background.Recurring;
import io.aitbc.coordinator.intake.TaskStates;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.function.Function;
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
final class TaskEnds implements AutoCloseable {
    private static final int MOST = 10_000;
    private static final Duration LOOK_EVERY = Duration.ofMillis(50);
    private static final long SPARE_MS = 10_000;

    private final TaskStates states;
    private final ConcurrentLinkedQueue<Waiting> waiting = new ConcurrentLinkedQueue<>();
    private final Semaphore places = new Semaphore(MOST);
    private final Recurring looking = new Recurring("task-ends", LOOK_EVERY, this::look, () -> {});

    private record Waiting(
            String taskId,
            long untilNanos,
            Function<Map<String, String>, ObjectNode> present,
            DeferredResult<ObjectNode> result) {}

    TaskEnds(TaskStates states) {
        this.states = states;
        looking.start();
    }

    @Override
    public void close() {
        looking.close();
    }

    static DeferredResult<ObjectNode> at(ObjectNode answer) {
        DeferredResult<ObjectNode> result = new DeferredResult<>();
        result.setResult(answer);
        return result;
    }

    /**
     * The state of a task once it has ended, or its current state at the timeout. Also waits for an unknown task: a record just sent to
     * Kafka may not have been read yet.
     */
    DeferredResult<ObjectNode> await(String taskId, Duration time, Function<Map<String, String>, ObjectNode> present) {
        if (!places.tryAcquire()) {
            throw new ResponseStatusException(
                    HttpStatus.SERVICE_UNAVAILABLE, MOST + " callers are waiting already: retry without wait");
        }
        DeferredResult<ObjectNode> result = new DeferredResult<>(time.toMillis() + SPARE_MS);
        result.onTimeout(() -> result.setErrorResult(new ResponseStatusException(
                HttpStatus.SERVICE_UNAVAILABLE, "the state of the task could not be read from Redis")));
        result.onCompletion(places::release);
        waiting.add(new Waiting(taskId, System.nanoTime() + time.toNanos(), present, result));
        return result;
    }

    private void look() {
        waiting.removeIf(one -> one.result.isSetOrExpired());
        if (waiting.isEmpty()) {
            return;
        }
        Set<String> taskIds = new HashSet<>();
        waiting.forEach(one -> taskIds.add(one.taskId));
        Map<String, String> statuses = states.statuses(taskIds);
        long now = System.nanoTime();
        for (Waiting one : waiting) {
            String status = statuses.get(one.taskId);
            if (TaskStates.hasEnded(status) || now - one.untilNanos >= 0) {
                states.find(one.taskId)
                        .ifPresentOrElse(
                                state -> one.result.setResult(one.present.apply(state)),
                                () -> one.result.setErrorResult(Problems.taskNotFound()));
            }
        }
    }
}

package io.aitbc.coordinator.taskstate;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Queries task state: each task's hash in Redis. */
public final class TaskStates {
    private static final Script RECORD_QUEUED = Script.load(TaskStates.class, "record-queued");
    private static final String CONDITIONS = Json.text(TaskState.CONDITIONS);

    private static final long WAIT_SECONDS = 2;

    private final Redis redis;

    public TaskStates(Redis redis) {
        this.redis = redis;
    }

    /** Empty if the task is unknown. */
    public Optional<TaskState> find(String taskId) {
        return readable(taskId, redis.readHashSync(Keys.task(taskId), read -> read.hgetall(Keys.task(taskId))));
    }

    /** Sets unreadable fields aside, or the whole hash if an essential field is among them. */
    private Optional<TaskState> readable(String taskId, Map<String, String> hash) {
        if (hash.isEmpty()) {
            return Optional.empty();
        }
        Map<String, String> corrupt = TaskState.corrupt(hash);
        TaskState state = TaskState.read(hash, corrupt);
        if (state == null) {
            redis.quarantine(Keys.task(taskId), hash);
            return Optional.empty();
        }
        if (!corrupt.isEmpty()) {
            redis.quarantineFields(Keys.task(taskId), corrupt, Map.of());
        }
        return Optional.of(state);
    }

    /** The state of tasks, by id; unknown tasks are absent. */
    public Map<String, TaskState> findAll(Collection<String> taskIds) {
        Map<String, CompletableFuture<Map<String, String>>> asked = new HashMap<>();
        for (String taskId : taskIds) {
            asked.put(taskId, redis.readHash(Keys.task(taskId), read -> read.hgetall(Keys.task(taskId))));
        }
        Map<String, TaskState> states = new HashMap<>();
        asked.forEach((taskId, answer) ->
                readable(taskId, Redis.await(answer, WAIT_SECONDS)).ifPresent(state -> states.put(taskId, state)));
        return states;
    }

    /** Task statuses by id; unknown tasks are absent. */
    public Map<String, TaskStatus> statuses(Collection<String> taskIds) {
        Map<String, TaskStatus> statuses = new HashMap<>();
        field("status", taskIds).forEach((taskId, text) -> {
            TaskStatus status = TaskState.status(text);
            if (status != null) {
                statuses.put(taskId, status);
            }
        });
        return statuses;
    }

    /**
     * Makes waiting tasks visible, unless more is known of them already.
     *
     * @return for each task whether it has ended, because it was cancelled before its record was read
     */
    public CompletableFuture<List<Boolean>> recordQueued(Collection<WaitingTask> tasks) {
        List<String[]> all = tasks.stream()
                .map(waiting -> scriptArguments(waiting.task(), waiting.position()))
                .toList();
        return RECORD_QUEUED
                .run(redis, List.of(CONDITIONS, Json.text(all)))
                .thenApply(answer -> ((String) answer.get(0))
                        .chars()
                        .mapToObj(ended -> ended == '1')
                        .toList());
    }

    /** Makes newly accepted tasks visible, each with its position; blocks until done. */
    public void recordAccepted(Map<Task, Position> tasks) {
        List<String[]> all = new ArrayList<>(tasks.size());
        tasks.forEach((task, position) -> all.add(scriptArguments(task, position)));
        RECORD_QUEUED.runSync(redis, List.of(CONDITIONS, Json.text(all)));
    }

    private static String[] scriptArguments(Task task, Position position) {
        String[] identity = {
            task.id(),
            task.attempt().toString(),
            position.priority().wireName(),
            task.acceptedAt().toString(),
            task.maxAttempts().toString(),
            position.toString()
        };
        return Stream.of(identity, TaskState.conditions(task))
                .flatMap(Arrays::stream)
                .toArray(String[]::new);
    }

    /** One field of each task's hash, by id; tasks without it are absent. */
    private Map<String, String> field(String name, Collection<String> taskIds) {
        Map<String, CompletableFuture<@Nullable String>> asked = new HashMap<>();
        for (String taskId : taskIds) {
            asked.put(taskId, redis.readHash(Keys.task(taskId), read -> read.hget(Keys.task(taskId), name)));
        }
        Map<String, String> values = new HashMap<>();
        asked.forEach((taskId, answer) -> {
            String value = Redis.await(answer, WAIT_SECONDS);
            if (value != null) {
                values.put(taskId, value);
            }
        });
        return values;
    }
}

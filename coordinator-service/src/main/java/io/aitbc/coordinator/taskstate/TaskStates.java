package io.aitbc.coordinator.taskstate;

import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.lettuce.core.KeyValue;
import io.lettuce.core.RedisCommandExecutionException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** Queries task state in Redis, see {@link TaskRecord}. */
public final class TaskStates {
    private static final Script RECORD_QUEUED = Script.load(TaskStates.class, "record-queued");
    private static final Script STATUSES = Script.load(TaskStates.class, "statuses");
    private static final long WAIT_SECONDS = 2;

    private final Redis redis;

    public TaskStates(Redis redis) {
        this.redis = redis;
    }

    /** Empty if the task is unknown. */
    public Optional<TaskState> find(String taskId) {
        return readable(taskId, redis.readText(Keys.task(taskId)));
    }

    /** Sets a spoilt record aside: the task is unknown then. */
    private Optional<TaskState> readable(String taskId, @Nullable String record) {
        if (record == null) {
            return Optional.empty();
        }
        TaskState state = TaskState.read(taskId, record);
        if (state == null) {
            redis.quarantine(Keys.task(taskId), record);
        }
        return Optional.ofNullable(state);
    }

    /** The state of tasks, by id; unknown tasks are absent. */
    public Map<String, TaskState> findAll(Collection<String> taskIds) {
        Map<String, TaskState> states = new HashMap<>();
        records(taskIds)
                .forEach((taskId, record) -> readable(taskId, record).ifPresent(state -> states.put(taskId, state)));
        return states;
    }

    /** Task statuses by id; unknown tasks are absent. */
    public Map<String, TaskStatus> statuses(Collection<String> taskIds) {
        if (taskIds.isEmpty()) {
            return Map.of();
        }
        List<String> ids = List.copyOf(taskIds);
        String letters =
                (String) STATUSES.runSync(redis, List.of(Script.pack(ids))).get(0);
        Map<String, TaskStatus> statuses = new HashMap<>();
        for (int i = 0; i < ids.size(); i++) {
            TaskStatus status = TaskState.status(TaskRecord.status(letters.charAt(i)));
            if (status != null) {
                statuses.put(ids.get(i), status);
            }
        }
        return statuses;
    }

    /** Queue positions of waiting tasks by id; tasks that do not wait, or whose position is unknown, are absent. */
    public Map<String, Position> waitingAt(Collection<String> taskIds) {
        Map<String, CompletableFuture<String>> beginnings = new HashMap<>();
        taskIds.forEach(id -> beginnings.put(
                id,
                redis.async()
                        .getrange(Keys.task(id), 0, TaskRecord.POSITION_WITHIN - 1)
                        .toCompletableFuture()));
        Map<String, Position> positions = new HashMap<>();
        beginnings.forEach((id, beginning) -> {
            String read = readText(beginning);
            TaskRecord.waitingAt(read).ifPresent(position -> positions.put(id, position));
        });
        return positions;
    }

    /** Empty if the key is of another type: a script will set it aside. */
    private static String readText(CompletableFuture<String> answer) {
        try {
            return Redis.await(answer, WAIT_SECONDS);
        } catch (RedisCommandExecutionException e) {
            return "";
        }
    }

    /** In one round trip. */
    private Map<String, String> records(Collection<String> taskIds) {
        Map<String, String> records = new HashMap<>();
        if (!taskIds.isEmpty()) {
            List<String> ids = List.copyOf(taskIds);
            List<KeyValue<String, String>> values = Redis.await(
                    redis.async()
                            .mget(ids.stream().map(Keys::task).toArray(String[]::new))
                            .toCompletableFuture(),
                    WAIT_SECONDS);
            for (int i = 0; i < ids.size(); i++) {
                if (values.get(i).hasValue()) {
                    records.put(ids.get(i), values.get(i).getValue());
                }
            }
        }
        return records;
    }

    /** What a waiting task was found to be. */
    public enum Recorded {
        /** It waits. */
        WAITS,
        /** It has ended, because it was cancelled before its record was read. */
        ENDED,
        /** An agent has it, or another record of it waits. */
        OTHERWISE
    }

    /** Makes waiting tasks visible, unless more is known of them already. */
    public CompletableFuture<List<Recorded>> recordQueued(Collection<WaitingTask> tasks) {
        List<String> arguments = new ArrayList<>(2 * tasks.size());
        for (WaitingTask waiting : tasks) {
            arguments.add(waiting.id());
            arguments.add(TaskRecord.queued(waiting.task(), waiting.position()));
        }
        return RECORD_QUEUED
                .run(redis, List.of(Script.pack(arguments)))
                .thenApply(answer -> ((String) answer.get(0))
                        .chars()
                        .mapToObj(letter -> recorded((char) letter))
                        .toList());
    }

    private static Recorded recorded(char letter) {
        return switch (letter) {
            case 'w' -> Recorded.WAITS;
            case 'e' -> Recorded.ENDED;
            case 'o' -> Recorded.OTHERWISE;
            default -> throw new IllegalStateException("unexpected answer of record-queued.lua: " + letter);
        };
    }

    /** Makes newly accepted tasks visible, each with its position; blocks until done. */
    public void recordAccepted(Map<Task, Position> tasks) {
        List<String> arguments = new ArrayList<>(2 * tasks.size());
        tasks.forEach((task, position) -> {
            arguments.add(task.id());
            arguments.add(TaskRecord.queued(task, position));
        });
        RECORD_QUEUED.runSync(redis, List.of(Script.pack(arguments)));
    }
}

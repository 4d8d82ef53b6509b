package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** What can be asked about a task: its hash in Redis. */
public final class TaskStates {
    private static final Script NOTE_QUEUED = Script.beside(TaskStates.class, "note-queued");

    private static final Set<String> ENDED = Set.of("completed", "failed", "cancelled", "expired");
    private static final long WAIT_SECONDS = 2;

    private final Redis redis;

    public TaskStates(Redis redis) {
        this.redis = redis;
    }

    /** The fields of a task's hash. */
    public Optional<Map<String, String>> find(String taskId) {
        Map<String, String> hash = redis.sync().hgetall(Keys.task(taskId));
        return hash.isEmpty() ? Optional.empty() : Optional.of(hash);
    }

    /** Whether a status is one of those that a task keeps. */
    public static boolean hasEnded(@Nullable String status) {
        return status != null && ENDED.contains(status);
    }

    /** The statuses of tasks by id; tasks of which nothing is known are missing. */
    public Map<String, String> statuses(Collection<String> taskIds) {
        Map<String, CompletableFuture<String>> asked = new HashMap<>();
        for (String taskId : taskIds) {
            asked.put(taskId, redis.async().hget(Keys.task(taskId), "status").toCompletableFuture());
        }
        Map<String, String> statuses = new HashMap<>();
        asked.forEach((taskId, answer) -> {
            String status = answer.orTimeout(WAIT_SECONDS, TimeUnit.SECONDS).join();
            if (status != null) {
                statuses.put(taskId, status);
            }
        });
        return statuses;
    }

    /** Makes waiting tasks visible to those who ask for them, unless more is known of them already. */
    public CompletableFuture<?> noteQueued(Collection<WaitingTask> tasks) {
        List<String> arguments = new ArrayList<>(tasks.size() * 5);
        tasks.forEach(
                waiting -> add(arguments, waiting.task(), waiting.position().priority()));
        return NOTE_QUEUED.run(redis, arguments);
    }

    /** The same for one, waiting until it is done. */
    public void noteQueued(Task task, Priority priority) {
        List<String> arguments = new ArrayList<>(5);
        add(arguments, task, priority);
        NOTE_QUEUED.runNow(redis, arguments);
    }

    private static void add(List<String> arguments, Task task, Priority priority) {
        arguments.add(task.taskId());
        arguments.add(task.attempt().toString());
        arguments.add(priority.wireName());
        arguments.add(task.submittedAt().toString());
        arguments.add(task.maxAttempts().toString());
    }
}

package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** What can be asked about a task: its hash in Redis. */
public final class TaskStates {
    private static final Script NOTE_QUEUED = Script.beside(TaskStates.class, "note-queued");

    private final Redis redis;

    public TaskStates(Redis redis) {
        this.redis = redis;
    }

    /** The fields of a task's hash. */
    public Optional<Map<String, String>> find(String taskId) {
        Map<String, String> hash = redis.sync().hgetall(Keys.task(taskId));
        return hash.isEmpty() ? Optional.empty() : Optional.of(hash);
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

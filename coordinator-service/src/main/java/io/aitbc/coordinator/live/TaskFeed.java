package io.aitbc.coordinator.live;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.stats.TaskJson;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;

/** The current state of tasks. Uses a separate connection, so that no reservation waits behind large results. Owned by one thread. */
@Component
final class TaskFeed implements AutoCloseable {
    /** Ended tasks are read on every nth poll only: they change only when redriven or deleted. */
    private static final int ENDED_POLL_RATIO = 20;

    private final Redis redis;
    private final TaskStates states;
    private final Set<String> ended = new HashSet<>();
    private int polls;

    TaskFeed(Redis shared) {
        this.redis = shared.newConnection();
        this.states = new TaskStates(redis);
    }

    @Override
    public void close() {
        redis.close();
    }

    /**
     * The state of tasks by id, in the format of {@code GET /tasks/{task_id}}; the status of an unknown task is {@code unknown}. Ended
     * tasks are absent on most polls.
     *
     * @param unread those of the tasks that are present in any case: nobody has been sent their state yet
     */
    Map<String, JsonNode> read(Collection<String> taskIds, Collection<String> unread) {
        ended.retainAll(taskIds);
        ended.removeAll(Set.copyOf(unread));
        Set<String> due = new HashSet<>(taskIds);
        if (polls++ % ENDED_POLL_RATIO != 0) {
            due.removeAll(ended);
        }
        Map<String, TaskState> found = states.findAll(due);
        Map<String, JsonNode> tasks = new HashMap<>();
        for (String taskId : due) {
            TaskState state = found.get(taskId);
            tasks.put(taskId, state == null ? withStatus(taskId, "unknown") : task(taskId, state));
            if (state != null && state.status().hasEnded()) {
                ended.add(taskId);
            } else {
                ended.remove(taskId);
            }
        }
        return tasks;
    }

    private static JsonNode task(String taskId, TaskState state) {
        try {
            return TaskJson.of(state);
        } catch (RuntimeException e) {
            // Manually changed in Redis: one corrupt task must not affect the others.
            return withStatus(taskId, "unreadable");
        }
    }

    static JsonNode withStatus(String taskId, String status) {
        return Json.object().put("task_id", taskId).put("status", status);
    }
}

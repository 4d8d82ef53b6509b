package io.aitbc.coordinator.live;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.api.TaskJson;
import io.aitbc.coordinator.intake.TaskStates;
import io.aitbc.coordinator.redis.Redis;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;

/** Tasks as they are now. Over a connection of its own, so that no reservation waits behind large results. Belongs to one thread. */
@Component
final class TasksNow implements AutoCloseable {
    /** What has ended changes when somebody redrives it, and when it is forgotten. */
    private static final int LOOK_AT_ENDED_EACH = 20;

    private final Redis redis;
    private final TaskStates states;
    private final Set<String> ended = new HashSet<>();
    private int looks;

    TasksNow(Redis shared) {
        this.redis = shared.another();
        this.states = new TaskStates(redis);
    }

    @Override
    public void close() {
        redis.close();
    }

    /**
     * By id, each as {@code GET /tasks/{task_id}} tells; the status of one of which nothing is known is {@code unknown}. Those that have
     * ended are missing most of the time.
     */
    Map<String, JsonNode> look(Collection<String> taskIds) {
        ended.retainAll(taskIds);
        Set<String> due = new HashSet<>(taskIds);
        if (looks++ % LOOK_AT_ENDED_EACH != 0) {
            due.removeAll(ended);
        }
        Map<String, Map<String, String>> found = states.findAll(due);
        Map<String, JsonNode> tasks = new HashMap<>();
        for (String taskId : due) {
            Map<String, String> state = found.getOrDefault(taskId, Map.of());
            tasks.put(taskId, state.isEmpty() ? withStatus(taskId, "unknown") : task(taskId, state));
            if (TaskStates.hasEnded(state.get("status"))) {
                ended.add(taskId);
            } else {
                ended.remove(taskId);
            }
        }
        return tasks;
    }

    private static JsonNode task(String taskId, Map<String, String> state) {
        try {
            return TaskJson.of(state);
        } catch (RuntimeException e) {
            // Somebody has written into it by hand: those who look at others are not to suffer from it.
            return withStatus(taskId, "unreadable");
        }
    }

    private static JsonNode withStatus(String taskId, String status) {
        return Json.object().put("task_id", taskId).put("status", status);
    }
}

package io.aitbc.coordinator.live;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.api.TaskJson;
import io.aitbc.coordinator.intake.TaskStates;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;

/** Tasks as they are now. */
@Component
final class TasksNow {
    private final TaskStates states;

    TasksNow(TaskStates states) {
        this.states = states;
    }

    /** By id, each as {@code GET /tasks/{task_id}} tells; the status of one of which nothing is known is {@code unknown}. */
    Map<String, JsonNode> look(Collection<String> taskIds) {
        Map<String, Map<String, String>> found = states.findAll(taskIds);
        Map<String, JsonNode> tasks = new HashMap<>();
        for (String taskId : taskIds) {
            Map<String, String> state = found.get(taskId);
            tasks.put(
                    taskId,
                    state == null ? Json.object().put("task_id", taskId).put("status", "unknown") : TaskJson.of(state));
        }
        return tasks;
    }
}

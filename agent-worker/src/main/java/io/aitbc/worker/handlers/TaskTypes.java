package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.worker.Handler;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Chooses the handler by {@code task_data.task_type}. */
public final class TaskTypes implements Handler {
    private final Map<String, Handler> handlers;

    public TaskTypes(Map<String, Handler> handlers) {
        this.handlers = new TreeMap<>(handlers);
    }

    @Override
    public @Nullable JsonNode handle(Assignment assignment, Progress progress) throws Exception {
        String type = text(assignment.taskData(), "task_type");
        Handler handler = handlers.get(type);
        if (handler == null) {
            throw new IllegalArgumentException(
                    "this worker has no handler for task_type \"" + type + "\", only for " + handlers.keySet());
        }
        return handler.handle(assignment, progress);
    }

    /** @throws IllegalArgumentException if the field is absent or no text */
    static String text(ObjectNode taskData, String field) {
        JsonNode value = taskData.path(field);
        if (!value.isString()) {
            throw new IllegalArgumentException("task_data." + field + " must be a text");
        }
        return value.asString();
    }
}

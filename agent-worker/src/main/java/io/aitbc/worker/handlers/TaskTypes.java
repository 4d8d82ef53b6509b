package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Selects the handler by {@code task_data.task_type}. A task of another type is rejected: another agent may run it. */
public final class TaskTypes implements Handler {
    private final Map<String, Handler> handlers;

    public TaskTypes(Map<String, Handler> handlers) {
        this.handlers = new TreeMap<>(handlers);
    }

    /**
     * Returns all handlers of this package by task type.
     *
     * @param fileRoot see {@link Hash#Hash}
     * @param chatUrl see {@link Chat#Chat}; null: no chat
     * @param chatKey see {@link Chat#Chat}
     * @param allowPrivateAddresses see {@link HttpCall#HttpCall}
     */
    public static Map<String, Handler> builtIn(
            @Nullable Path fileRoot,
            @Nullable String chatUrl,
            @Nullable String chatKey,
            boolean allowPrivateAddresses) {
        Map<String, Handler> handlers = new TreeMap<>(Map.of(
                "echo",
                new Echo(),
                "sleep",
                new Sleep(),
                "hash",
                new Hash(fileRoot),
                "http",
                new HttpCall(allowPrivateAddresses)));
        if (chatUrl != null) {
            handlers.put("chat", new Chat(chatUrl, chatKey));
        }
        return handlers;
    }

    @Override
    public @Nullable JsonNode handle(Assignment assignment, AssignmentContext context) throws Exception {
        String type = type(assignment.taskData());
        Handler handler = handlers.get(type);
        if (handler == null) {
            throw new RejectedException(
                    "this worker has no handler for task_type \"" + type + "\", only for " + handlers.keySet());
        }
        return handler.handle(assignment, context);
    }

    /** A task with a model, and a prompt or messages, needs no type: it is a chat. */
    private static String type(ObjectNode taskData) {
        boolean isChat = taskData.path("model").isString()
                && (taskData.path("prompt").isString()
                        || taskData.path("messages").isArray());
        return isChat && !taskData.has("task_type") ? "chat" : text(taskData, "task_type");
    }

    /** @throws IllegalArgumentException if the field is missing or not a string */
    static String text(ObjectNode taskData, String field) {
        JsonNode value = taskData.path(field);
        if (!value.isString()) {
            throw new IllegalArgumentException("task_data." + field + " must be a string");
        }
        return value.asString();
    }
}

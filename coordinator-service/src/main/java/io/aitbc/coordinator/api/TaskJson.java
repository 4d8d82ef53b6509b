package io.aitbc.coordinator.api;

import io.aitbc.contracts.Json;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/** How a task stands, as the published interface shapes it. */
public final class TaskJson {
    private static final Set<String> NUMBERS = Set.of("attempt", "max_attempts", "timeout_seconds");
    /** What only the scripts use. */
    private static final Set<String> INTERNAL = Set.of("assigned_ms", "requeued");

    private static final Set<String> DOCUMENTS = Set.of("result", "error", "progress", "requirements");

    private TaskJson() {}

    /** @param state the task's hash */
    public static ObjectNode of(Map<String, String> state) {
        ObjectNode task = Json.object();
        state.forEach((field, value) -> {
            if (NUMBERS.contains(field)) {
                task.put(field, Long.parseLong(value));
            } else if (!DOCUMENTS.contains(field) && !INTERNAL.contains(field)) {
                task.put(field, value);
            } else if (DOCUMENTS.contains(field) && !value.isEmpty()) {
                task.set(field, Json.MAPPER.readTree(value));
            }
        });
        return task;
    }
}

package io.aitbc.coordinator.api;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Reads many tasks from one body: a JSON array, or one task per line. */
final class TaskBatch {
    private static final int MOST = 10_000;

    /** A task of such an id could not be asked for: the path means something else. */
    private static final Set<String> TAKEN_PATHS = Set.of("status", "queues", "submit", "dead-letter");

    private TaskBatch() {}

    /** Either a task, or the reason why there is none. */
    record Item(@Nullable Task task, @Nullable String error) {}

    static List<Item> read(byte[] body) {
        String text = new String(body, StandardCharsets.UTF_8).strip();
        List<Item> items = text.startsWith("[")
                ? Json.read(text, JsonNode.class)
                        .valueStream()
                        .map(one -> item(() -> Json.read(one, Task.class)))
                        .toList()
                : text.lines()
                        .filter(line -> !line.isBlank())
                        .map(line -> item(() -> Json.read(line, Task.class)))
                        .toList();
        if (items.isEmpty() || items.size() > MOST) {
            throw Problems.unprocessable("a batch holds 1 to " + MOST + " tasks but this one has " + items.size());
        }
        return items;
    }

    /** What is wrong with the id that a task comes with, if something is. */
    static @Nullable String errorOfId(Task task) {
        return task.taskId() != null && TAKEN_PATHS.contains(task.taskId())
                ? "task_id must not be \"" + task.taskId() + "\": that path means something else"
                : null;
    }

    private static Item item(Supplier<Task> read) {
        try {
            Task task = read.get();
            String error = errorOfId(task);
            return new Item(error == null ? task : null, error);
        } catch (Json.MalformedMessageException e) {
            return new Item(null, e.getMessage());
        }
    }
}

package io.aitbc.coordinator.api;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.security.Caller;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.security.access.AccessDeniedException;
import tools.jackson.databind.JsonNode;

/** Parses a batch of tasks: a JSON array, or one task per line. */
final class TaskBatch {
    private static final int MAX_TASKS = 10_000;

    private TaskBatch() {}

    /** Either a task with its warnings, or the reason why it is invalid. */
    record Item(
            @Nullable Task task,
            List<String> warnings,
            @Nullable String error) {
        /** The item, refused if it uses more than a limit can give, or one that is not the caller's. */
        Item within(LimitBook limits, Caller caller) {
            String foreign = task == null || !caller.isScoped() ? null : limits.ofAnotherKey(task);
            if (foreign != null) {
                return new Item(null, warnings, Problems.ofAnotherKey(foreign));
            }
            String impossible = task == null ? null : limits.impossible(task);
            return impossible == null ? this : new Item(null, warnings, impossible);
        }

        /** The item as this caller submits it, see {@link Caller#inScope}. */
        Item inScope(Caller caller) {
            try {
                return task == null ? this : new Item(caller.inScope(task), warnings, null);
            } catch (AccessDeniedException e) {
                return new Item(null, warnings, e.getMessage());
            }
        }
    }

    /** @param strict whether a task with unknown fields is rejected */
    static List<Item> read(byte[] body, boolean strict) {
        String text = new String(body, StandardCharsets.UTF_8).strip();
        List<Item> items = text.startsWith("[")
                ? Json.read(text, JsonNode.class)
                        .valueStream()
                        .map(one -> item(() -> one, strict))
                        .toList()
                : text.lines()
                        .filter(line -> !line.isBlank())
                        .map(line -> item(() -> Json.read(line, JsonNode.class), strict))
                        .toList();
        if (items.isEmpty() || items.size() > MAX_TASKS) {
            throw Problems.unprocessable("a batch must have 1 to " + MAX_TASKS + " tasks but has " + items.size());
        }
        return items;
    }

    private static Item item(Supplier<JsonNode> json, boolean strict) {
        try {
            Body<Task> body = Body.read(json.get(), Task.class, strict);
            return new Item(body.message(), body.warnings(), null);
        } catch (Json.MalformedMessageException e) {
            return new Item(null, List.of(), e.getMessage());
        }
    }
}

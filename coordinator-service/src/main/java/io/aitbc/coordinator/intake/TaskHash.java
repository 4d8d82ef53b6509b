package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.TaskStatus;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Format of a task's hash in Redis: text fields, some of them numbers, times or JSON. */
final class TaskHash {
    private static final Consumer<String> NUMBER = Integer::parseInt;
    private static final Consumer<String> TIME = Instant::parse;
    private static final Consumer<String> JSON = text -> {
        if (!text.isEmpty()) {
            Json.MAPPER.readTree(text);
        }
    };

    private static final Map<String, Consumer<String>> PARSERS = Map.ofEntries(
            Map.entry("attempt", NUMBER),
            Map.entry("max_attempts", NUMBER),
            Map.entry("timeout_seconds", NUMBER),
            Map.entry("priority", Priority::parse),
            Map.entry("submitted_at", TIME),
            Map.entry("assigned_at", TIME),
            Map.entry("deadline", TIME),
            Map.entry("progress_at", TIME),
            Map.entry("finished_at", TIME),
            Map.entry("not_before", TIME),
            Map.entry("expires_at", TIME),
            Map.entry("requirements", text -> Json.read(text, Requirements.class)),
            Map.entry("result", JSON),
            Map.entry("error", JSON),
            Map.entry("progress", JSON));

    /** The status of a task whose dead letter is being written; published as assigned. */
    private static final String FAILING = "failing";

    private TaskHash() {}

    /** The unreadable fields, with their values. */
    static Map<String, String> corrupt(Map<String, String> hash) {
        Map<String, String> corrupt = new HashMap<>();
        hash.forEach((field, value) -> {
            Consumer<String> form = PARSERS.get(field);
            if (form != null && !parses(form, value)) {
                corrupt.put(field, value);
            }
        });
        return corrupt;
    }

    private static boolean parses(Consumer<String> form, String value) {
        try {
            form.accept(value);
            return true;
        } catch (RuntimeException e) {
            return false;
        }
    }

    /** The published status; null if the text is none. */
    static @Nullable TaskStatus status(@Nullable String text) {
        if (FAILING.equals(text)) {
            return TaskStatus.ASSIGNED;
        }
        return Arrays.stream(TaskStatus.values())
                .filter(status -> status.wireName().equals(text))
                .findFirst()
                .orElse(null);
    }

    /**
     * Fields that must be present and readable, or the task counts as unknown: its final status, or the waiting attempt, or the agent that
     * has it and since when.
     */
    static Set<String> essential(TaskStatus status) {
        return switch (status) {
            case QUEUED -> Set.of("status", "attempt");
            case ASSIGNED -> Set.of("status", "attempt", "agent_id", "assigned_at");
            case COMPLETED, FAILED, CANCELLED, EXPIRED -> Set.of("status");
        };
    }
}

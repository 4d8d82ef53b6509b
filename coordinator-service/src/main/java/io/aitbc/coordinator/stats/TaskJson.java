package io.aitbc.coordinator.stats;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.intake.TaskState;
import io.aitbc.coordinator.registry.HeldAssignment;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/** The state of a task in the format of the REST API. */
public final class TaskJson {
    private static final Set<String> NUMBERS = Set.of("attempt", "max_attempts", "timeout_seconds");
    /** Fields used only by the scripts. */
    private static final Set<String> INTERNAL = Set.of("assigned_ms", "requeued");

    private static final Set<String> DOCUMENTS = Set.of("result", "error", "progress", "requirements");

    private TaskJson() {}

    public static ObjectNode of(TaskState state) {
        ObjectNode task = Json.object();
        Map<String, String> shown = new HashMap<>(state.fields());
        shown.remove("deadline");
        deadline(state).ifPresent(deadline -> shown.put("deadline", deadline));
        if (state.status().hasEnded() && state.status() != TaskStatus.FAILED) {
            // The error of an earlier attempt is not the outcome.
            shown.remove("error");
        }
        shown.forEach((field, value) -> {
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

    /** The deadline of the current attempt, extended by progress reports; empty while no agent has the task. */
    public static Optional<String> deadline(TaskState state) {
        String noted = state.fields().get("deadline");
        if (noted == null || state.status() != TaskStatus.ASSIGNED) {
            return Optional.empty();
        }
        try {
            HeldAssignment held = new HeldAssignment("", 0, Instant.EPOCH, Instant.parse(noted), null);
            return Optional.of(held.afterProgress(
                            state.fields().get("progress_at"), state.fields().get("timeout_seconds"))
                    .deadline()
                    .toString());
        } catch (DateTimeParseException e) {
            // The stored values are corrupt.
            return Optional.of(noted);
        }
    }
}

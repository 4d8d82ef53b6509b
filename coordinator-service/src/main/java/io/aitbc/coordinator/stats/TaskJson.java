package io.aitbc.coordinator.stats;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.taskstate.TaskState;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/** The state of a task in the format of the REST API. */
public final class TaskJson {
    /** The field that names the agent of the current or last attempt. */
    public static final String AGENT_ID = "agent_id";

    private TaskJson() {}

    public static ObjectNode of(TaskState state) {
        return of(state, true);
    }

    /** @param withNames whether its agent is named */
    public static ObjectNode of(TaskState state, boolean withNames) {
        ObjectNode task = Json.object();
        Map<String, String> shown = new LinkedHashMap<>(state.fields());
        if (!withNames) {
            shown.remove(AGENT_ID);
        }
        deadline(state).ifPresentOrElse(deadline -> shown.put("deadline", deadline), () -> shown.remove("deadline"));
        if (state.status().hasEnded() && state.status() != TaskStatus.FAILED) {
            // The error of an earlier attempt is not the outcome.
            shown.remove("error");
        }
        shown.forEach((field, value) -> {
            switch (TaskState.format(field)) {
                case NUMBER -> task.put(field, Integer.parseInt(value));
                case TEXT, TIME, PRIORITY -> task.put(field, value);
                case REQUIREMENTS, JSON -> {
                    if (!value.isEmpty()) {
                        task.set(field, Json.MAPPER.readTree(value));
                    }
                }
                case INTERNAL -> {}
            }
        });
        return task;
    }

    /** The deadline of the current attempt, extended by progress reports; empty while no agent has the task. */
    public static Optional<String> deadline(TaskState state) {
        String stored = state.fields().get("deadline");
        if (stored == null || state.status() != TaskStatus.ASSIGNED) {
            return Optional.empty();
        }
        Instant prolonged = state.prolongedDeadline();
        return Optional.of(
                prolonged != null && prolonged.isAfter(Instant.parse(stored)) ? prolonged.toString() : stored);
    }
}

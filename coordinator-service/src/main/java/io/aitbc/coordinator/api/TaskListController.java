package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.history.TaskFilter;
import io.aitbc.coordinator.history.TaskHistory;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.stats.TaskJson;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.lettuce.core.RedisException;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.enums.ParameterIn;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.util.MultiValueMap;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/tasks", "/v1/tasks"})
@Tag(name = "tasks")
class TaskListController {
    private static final Set<String> PAGING = Set.of("sort", "limit", "cursor");

    private final TaskHistory history;
    private final TaskStates states;
    private final Clock clock;

    TaskListController(TaskHistory history, TaskStates states, Clock clock) {
        this.history = history;
        this.states = states;
        this.clock = clock;
    }

    /**
     * @param nextCursor absent on the last page
     * @param count of the tasks on all pages
     * @param isCountExact false if the count is an estimate, which it is above 10,000
     * @param isLive false if Redis does not answer: the states are then those of the history, which may lag behind
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record TaskPage(
            @JsonProperty("status") String status,
            @JsonProperty("tasks") List<ObjectNode> tasks,
            @JsonProperty("next_cursor") @Nullable String nextCursor,
            @JsonProperty("count") long count,
            @JsonProperty("count_exact") boolean isCountExact,
            @JsonProperty("live") boolean isLive,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(
            summary = "Search tasks: waiting, running and ended ones",
            description =
                    "Requires a history, see `AITBC_HISTORY_URL`; 501 without one. A task is found about a second after it is assigned, or its turn is near."
                            + " All conditions must be met. An unknown parameter is refused.")
    @Parameter(
            in = ParameterIn.QUERY,
            name = "status",
            description = "One or several, comma-separated: queued, assigned, completed, failed, cancelled, expired",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "priority",
            description = "One or several, comma-separated",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "agent_id",
            description = "The agent has or had an attempt",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "agent_type",
            description = "Required by the task",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "capability",
            description = "Required by the task",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "task_type",
            description = "`task_data.task_type`",
            schema = @Schema(type = "string"))
    @Parameter(in = ParameterIn.QUERY, name = "fairness_key", schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "label.{key}",
            description = "The value of a label, such as `label.team=search`",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "submitted_after",
            description = "At this time or later, such as 2026-01-31T12:00:00Z",
            schema = @Schema(type = "string"))
    @Parameter(in = ParameterIn.QUERY, name = "submitted_before", schema = @Schema(type = "string"))
    @Parameter(in = ParameterIn.QUERY, name = "finished_after", schema = @Schema(type = "string"))
    @Parameter(in = ParameterIn.QUERY, name = "finished_before", schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "min_duration",
            description = "Of the last attempt, which has ended, such as 5m",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "reason",
            description = "Why the task failed, such as `overdue`; several are separated by commas",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "error",
            description = "Words of the last error; `\"…\"` for a phrase, `-` before a word that must not occur",
            schema = @Schema(type = "string"))
    @Parameter(
            in = ParameterIn.QUERY,
            name = "id",
            description = "The beginning of the task_id",
            schema = @Schema(type = "string"))
    TaskPage list(
            @Parameter(description = "submitted_at, finished_at, or one of them behind `-` for the latest first")
                    @RequestParam(name = "sort", defaultValue = "-submitted_at")
                    String sort,
            @RequestParam(name = "limit", defaultValue = "50") @Min(1) @Max(1_000) int limit,
            @Parameter(description = "`next_cursor` of the page before")
                    @RequestParam(name = "cursor", required = false)
                    @Nullable
                    String cursor,
            @Parameter(hidden = true) @RequestParam MultiValueMap<String, String> parameters,
            @Parameter(hidden = true) Caller caller) {
        TaskFilter filter = TaskQuery.filter(parameters, PAGING, caller);
        TaskHistory.Page page;
        try {
            page = history.list(filter, TaskFilter.Sort.parse(sort), limit, cursor);
        } catch (IllegalArgumentException e) {
            throw Problems.unprocessable(e.getMessage());
        }
        boolean isLive = overlay(page.tasks(), caller);
        if (caller.isScoped()) {
            page.tasks().forEach(task -> task.remove(TaskJson.AGENT_ID));
        }
        return new TaskPage(
                "success", page.tasks(), page.cursor(), page.count(), page.isExact(), isLive, clock.instant());
    }

    /** Lays the state in Redis, which is the latest, over that of the history. */
    private boolean overlay(List<ObjectNode> tasks, Caller caller) {
        Map<String, TaskState> live;
        try {
            live = states.findAll(
                    tasks.stream().map(task -> task.get("task_id").asString()).toList());
        } catch (RedisException e) {
            return false;
        }
        // What Redis knows decides whose task it is.
        tasks.removeIf(task -> {
            String id = task.get("task_id").asString();
            TaskState state = live.get(id);
            return state != null && !caller.maySee(id, state.fairnessKey());
        });
        for (ObjectNode task : tasks) {
            TaskState state = live.get(task.get("task_id").asString());
            if (state != null
                    && (!state.status().wireName().equals(task.get("status").asString())
                            || state.attempt() != task.get("attempt").asInt())) {
                overlay(state, task);
            }
        }
        return true;
    }

    private static void overlay(TaskState state, ObjectNode task) {
        ObjectNode now = TaskJson.of(state);
        task.put("status", state.status().wireName());
        task.put("attempt", state.attempt());
        for (String field : List.of(TaskJson.AGENT_ID, "assigned_at", "finished_at", "not_before", "reason", "error")) {
            if (now.hasNonNull(field)) {
                task.set(field, now.get(field));
            } else {
                task.remove(field);
            }
        }
    }
}

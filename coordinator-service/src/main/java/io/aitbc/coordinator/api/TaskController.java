package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.intake.Submissions;
import io.aitbc.coordinator.intake.TaskStates;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/tasks", "/v1/tasks"})
@Tag(name = "tasks", description = "Submit work, and see what became of it")
class TaskController {
    /** A task of such an id could not be asked for: the path means something else. */
    private static final Set<String> TAKEN_PATHS = Set.of("status", "queues", "submit", "dead-letter");

    private static final Set<String> NUMBERS = Set.of("attempt", "max_attempts", "timeout_seconds");
    private static final Set<String> DOCUMENTS = Set.of("result", "error", "progress");

    private final Submissions submissions;
    private final TaskStates states;
    private final ClusterControl control;
    private final Figures figures;
    private final Clock clock;

    TaskController(Submissions submissions, TaskStates states, ClusterControl control, Figures figures, Clock clock) {
        this.submissions = submissions;
        this.states = states;
        this.control = control;
        this.figures = figures;
        this.clock = clock;
    }

    record Submitted(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("submitted_at") Instant submittedAt) {}

    @PostMapping("/submit")
    @Operation(summary = "Submit a task; the same task_id again is answered with the first submission")
    Submitted submit(@RequestBody Task task) throws InterruptedException {
        if (task.taskId() != null && TAKEN_PATHS.contains(task.taskId())) {
            throw Problems.unprocessable(
                    "task_id must not be \"" + task.taskId() + "\": that path means something else");
        }
        Submissions.Accepted accepted = submissions.submit(task);
        return new Submitted(
                "success",
                accepted.repeated() ? "Task was submitted before" : "Task submitted",
                accepted.taskId(),
                accepted.priority(),
                accepted.submittedAt());
    }

    @GetMapping("/{task_id}")
    @Operation(summary = "How a task stands: queued, assigned, completed, failed, cancelled or expired")
    ObjectNode get(@PathVariable("task_id") @Id String taskId) {
        ObjectNode task = Json.object();
        states.find(taskId).orElseThrow(Problems::taskNotFound).forEach((field, value) -> {
            if (NUMBERS.contains(field)) {
                task.put(field, Long.parseLong(value));
            } else if (!DOCUMENTS.contains(field)) {
                task.put(field, value);
            } else if (!value.isEmpty()) {
                task.set(field, Json.MAPPER.readTree(value));
            }
        });
        task.set("timestamp", Json.tree(clock.instant()));
        return task;
    }

    record Status(
            @JsonProperty("status") String status,
            @JsonProperty("stats") Figures.Tasks stats,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/status")
    @Operation(summary = "What the whole cluster has done, and what waits")
    Status status() throws InterruptedException {
        return new Status("success", figures.tasks(true), clock.instant());
    }

    record QueueSizesNow(
            @JsonProperty("status") String status,
            @JsonProperty("queue_sizes") Map<Priority, Long> queueSizes,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/queues")
    @Operation(summary = "How many tasks of each priority no agent has")
    QueueSizesNow queues() throws InterruptedException {
        return new QueueSizesNow("success", figures.queueSizes(), clock.instant());
    }

    record QueueStats(
            @JsonProperty("status") String status,
            @JsonProperty("queue_sizes") Map<Priority, Long> queueSizes,
            @JsonProperty("distribution_stats") Figures.Tasks distributionStats,
            @JsonProperty("queues") Map<Priority, Figures.Queue> queues,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/queues/stats")
    @Operation(summary = "Per priority: size, age of the oldest task, rates in and out")
    QueueStats queueStats() throws InterruptedException {
        Instant now = clock.instant();
        Map<Priority, Long> sizes = figures.queueSizes();
        return new QueueStats("success", sizes, figures.tasks(false), figures.queues(sizes, now), now);
    }

    record QueueCleared(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("cleared_count") long clearedCount,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/queues/{priority}/clear")
    @Operation(summary = "Cancel what is in a queue now; a task counted here is never executed")
    QueueCleared clear(@PathVariable("priority") Priority priority) throws InterruptedException {
        long count = control.clear(priority);
        return new QueueCleared(
                "success",
                "Cleared " + count + (count == 1 ? " task" : " tasks") + " from the " + priority.wireName() + " queue",
                priority,
                count,
                clock.instant());
    }
}

package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.assign.Cancellations;
import io.aitbc.coordinator.intake.Submissions;
import io.aitbc.coordinator.intake.TaskStates;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.request.async.DeferredResult;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/tasks", "/v1/tasks"})
@Tag(name = "tasks", description = "Submit work, and see what became of it")
class TaskController {
    private static final Logger log = LoggerFactory.getLogger(TaskController.class);
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(60);

    /** A task of such an id could not be asked for: the path means something else. */
    private static final Set<String> TAKEN_PATHS = Set.of("status", "queues", "submit", "dead-letter");

    private static final Set<String> NUMBERS = Set.of("attempt", "max_attempts", "timeout_seconds");
    private static final Set<String> DOCUMENTS = Set.of("result", "error", "progress");

    private final Submissions submissions;
    private final TaskStates states;
    private final TaskEnds ends;
    private final Cancellations cancellations;
    private final Figures figures;
    private final Clock clock;

    TaskController(
            Submissions submissions,
            TaskStates states,
            TaskEnds ends,
            Cancellations cancellations,
            Figures figures,
            Clock clock) {
        this.submissions = submissions;
        this.states = states;
        this.ends = ends;
        this.cancellations = cancellations;
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
    DeferredResult<ObjectNode> get(
            @PathVariable("task_id") @Id String taskId,
            @Parameter(description = "How long to wait for its end, such as 30s, at most 60s")
                    @RequestParam(name = "wait", defaultValue = "0s")
                    Duration wait) {
        if (wait.isNegative() || wait.compareTo(LONGEST_WAIT) > 0) {
            throw Problems.unprocessable("wait must be from 0s to 60s");
        }
        Map<String, String> state = states.find(taskId).orElseThrow(Problems::taskNotFound);
        return wait.isZero() || TaskStates.hasEnded(state.get("status"))
                ? TaskEnds.at(present(state))
                : ends.await(taskId, wait, this::present);
    }

    private ObjectNode present(Map<String, String> state) {
        ObjectNode task = Json.object();
        state.forEach((field, value) -> {
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

    record Cancelled(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/{task_id}/cancel")
    @Operation(
            summary = "Cancel a task: one that waits is never assigned, of one that an agent has the result is ignored")
    Cancelled cancel(@PathVariable("task_id") @Id String taskId) {
        Cancellations.Cancelled cancelled = cancellations.cancel(taskId);
        String message = switch (cancelled.status()) {
            case "unknown" -> throw Problems.taskNotFound();
            case "queued" -> "Task cancelled before an agent had it";
            case "assigned" -> "Task cancelled, agent " + cancelled.agentId() + " is told";
            case "cancelled" -> "Task was cancelled before";
            default -> throw Problems.conflict("the task has ended as " + cancelled.status() + " already");
        };
        cancelled.told().exceptionally(failure -> {
            log.atWarn()
                    .addKeyValue("task_id", taskId)
                    .addKeyValue("agent_id", cancelled.agentId())
                    .log("The agent does not know of a cancellation: {}", failure.toString());
            return null;
        });
        return new Cancelled("success", message, taskId, clock.instant());
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
}

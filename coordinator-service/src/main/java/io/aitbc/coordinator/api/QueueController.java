package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.QueuePeek;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.stats.ClusterStats;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.ArraySchema;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/tasks/queues", "/v1/tasks/queues"})
@Tag(name = "queues", description = "Inspect, pause, resume and clear the queues of the cluster")
class QueueController {
    private final ClusterControl control;
    private final QueuePeek peek;
    private final TopicSearches searches;
    private final ClusterStats clusterStats;
    private final Clock clock;

    QueueController(
            ClusterControl control, QueuePeek peek, TopicSearches searches, ClusterStats clusterStats, Clock clock) {
        this.searches = searches;
        this.control = control;
        this.peek = peek;
        this.clusterStats = clusterStats;
        this.clock = clock;
    }

    record QueueSizesResponse(
            @JsonProperty("status") String status,
            @JsonProperty("queue_sizes") Map<Priority, @Nullable Long> queueSizes,
            @JsonProperty("paused") Set<Priority> paused,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(
            summary = "Get queue sizes by priority",
            description = "A size is null while the topic of that priority is missing.")
    QueueSizesResponse sizes() throws InterruptedException {
        return new QueueSizesResponse("success", clusterStats.queueSizes(), paused(), clock.instant());
    }

    record QueueStats(
            @JsonProperty("status") String status,
            @JsonProperty("queue_sizes") Map<Priority, @Nullable Long> queueSizes,
            @JsonProperty("distribution_stats") ClusterStats.Tasks distributionStats,
            @JsonProperty("queues") Map<Priority, ClusterStats.Queue> queues,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/stats")
    @Operation(summary = "Get size, age of the oldest task and rates by priority")
    QueueStats stats() throws InterruptedException {
        Instant now = clock.instant();
        Map<Priority, @Nullable Long> sizes = clusterStats.queueSizes();
        return new QueueStats("success", sizes, clusterStats.tasks(false), clusterStats.queues(sizes, now), now);
    }

    record QueueFront(
            @JsonProperty("status") String status,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("size") @Nullable Long size,
            @JsonProperty("paused") boolean paused,

            @JsonProperty("tasks") @ArraySchema(schema = @Schema(implementation = Task.class))
            List<ObjectNode> tasks,

            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/{priority}")
    @Operation(summary = "Peek at the oldest tasks of a queue")
    QueueFront peek(
            @PathVariable("priority") Priority priority,
            @RequestParam(name = "limit", defaultValue = "10") @Min(1) @Max(100) int limit,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        List<WaitingTask> found =
                searches.run(() -> peek.first(priority, limit, task -> caller.maySee(task.id(), task.fairnessKey())));
        List<ObjectNode> tasks =
                found.stream().map(waiting -> shown(waiting.task())).toList();
        return new QueueFront(
                "success",
                priority,
                clusterStats.queueSizes().get(priority),
                control.pausedQueues().contains(priority),
                tasks,
                clock.instant());
    }

    private static ObjectNode shown(Task task) {
        ObjectNode shown = Json.MAPPER.valueToTree(task);
        if (task.requirements().equals(Requirements.NONE)) {
            shown.remove("requirements");
        }
        return shown.removeNulls();
    }

    /** @param heldBackCount how many more records will be cancelled once an open transaction ends */
    record QueueCleared(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("cleared_count") long clearedCount,
            @JsonProperty("held_back_count") long heldBackCount,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/{priority}/clear")
    @Operation(summary = "Cancel all queued tasks of a priority; no task that is counted is ever executed")
    QueueCleared clear(@PathVariable("priority") Priority priority) throws InterruptedException {
        ClusterControl.Cleared cleared = control.clear(priority);
        AuditNote.current().put("cleared_count", cleared.count()).put("held_back_count", cleared.heldBack());
        String message = "Cleared " + cleared.count() + (cleared.count() == 1 ? " task" : " tasks") + " from the "
                + priority.wireName() + " queue";
        return new QueueCleared(
                "success",
                cleared.heldBack() == 0
                        ? message
                        : message + "; " + cleared.heldBack()
                                + " more are held back by an open transaction and will be cancelled when it ends",
                priority,
                cleared.count(),
                cleared.heldBack(),
                clock.instant());
    }

    record QueuePaused(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("paused") boolean paused,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/{priority}/pause")
    @Operation(summary = "Pause dispatch of a queue; submissions are still accepted")
    QueuePaused pause(@PathVariable("priority") Priority priority) throws InterruptedException {
        return pause(priority, true);
    }

    @PostMapping("/{priority}/resume")
    @Operation(summary = "Resume dispatch of a queue")
    QueuePaused resume(@PathVariable("priority") Priority priority) throws InterruptedException {
        return pause(priority, false);
    }

    private QueuePaused pause(Priority priority, boolean paused) throws InterruptedException {
        control.pause(priority, paused);
        return new QueuePaused(
                "success",
                "The " + priority.wireName() + " queue " + (paused ? "is paused" : "was resumed"),
                priority,
                paused,
                clock.instant());
    }

    private Set<Priority> paused() {
        return new TreeSet<>(control.pausedQueues());
    }
}

package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.history.TaskFigures;
import io.aitbc.coordinator.match.BlockedGroup;
import io.aitbc.coordinator.stats.ClusterStats;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;

@RestController
@RequestMapping({"/stats", "/v1/stats"})
@Tag(name = "tasks")
class FiguresController {
    private static final Duration MIN = Duration.ofMinutes(1);
    private static final Duration MAX = Duration.ofDays(366);

    private static final int MAX_BLOCKED = 10;

    private final TaskFigures figures;
    private final ClusterStats stats;
    private final WaitExplainer explainer;
    private final Clock clock;

    FiguresController(TaskFigures figures, ClusterStats stats, WaitExplainer explainer, Clock clock) {
        this.figures = figures;
        this.stats = stats;
        this.explainer = explainer;
        this.clock = clock;
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    record FigurePercentiles(
            @JsonProperty("p50") @Nullable Double p50,
            @JsonProperty("p95") @Nullable Double p95,
            @JsonProperty("p99") @Nullable Double p99) {
        static FigurePercentiles of(TaskFigures.Percentiles seconds) {
            return new FigurePercentiles(seconds.p50(), seconds.p95(), seconds.p99());
        }
    }

    /**
     * @param value absent for tasks that have none, and for all tasks
     * @param waiting seconds from submission, or from {@code not_before}, to the assignment, of tasks with one attempt
     * @param running seconds from the last assignment to the end
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record TaskGroup(
            @JsonProperty("value") @Nullable String value,
            @JsonProperty("count") long count,
            @JsonProperty("failed") long failed,
            @JsonProperty("waiting_seconds") FigurePercentiles waiting,
            @JsonProperty("running_seconds") FigurePercentiles running) {
        static TaskGroup of(TaskFigures.Figures figures) {
            return new TaskGroup(
                    figures.value(),
                    figures.count(),
                    figures.failed(),
                    FigurePercentiles.of(figures.waiting()),
                    FigurePercentiles.of(figures.running()));
        }
    }

    /**
     * @param waiting mean number of waiting tasks; absent if it was not sampled
     * @param running mean number of tasks that agents had; absent if it was not sampled
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record TimeStep(
            @JsonProperty("at") Instant at,
            @JsonProperty("count") long count,
            @JsonProperty("failed") long failed,
            @JsonProperty("waiting") @Nullable Double waiting,
            @JsonProperty("running") @Nullable Double running) {}

    record TaskReport(
            @JsonProperty("status") String status,
            @JsonProperty("from") Instant from,
            @JsonProperty("to") Instant to,
            @JsonProperty("group_by") String groupBy,
            @JsonProperty("all") TaskGroup all,
            @JsonProperty("groups") List<TaskGroup> groups,
            @JsonProperty("steps") List<TimeStep> steps,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/tasks")
    @Operation(
            summary =
                    "Get figures of the tasks that ended lately: counts, failures, and percentiles of waiting and running",
            description =
                    "Requires a history. `steps` have a sixtieth of the time each, or whole hours if the time has whole days.")
    TaskReport tasks(
            @Parameter(
                            description =
                                    "task_type, agent_id, fairness_key, or error for the beginnings of the errors of failed tasks")
                    @RequestParam(name = "group_by", defaultValue = "task_type")
                    String groupBy,
            @Parameter(description = "How far to look back, such as 15m, 24h or 30d")
                    @RequestParam(name = "last", defaultValue = "24h")
                    Duration last,
            @Parameter(description = "Number of groups")
                    @RequestParam(name = "limit", defaultValue = "20")
                    @Min(1)
                    @Max(10_000)
                    int limit) {
        if (last.compareTo(MIN) < 0 || last.compareTo(MAX) > 0) {
            throw Problems.unprocessable("last must be from 1m to 366d");
        }
        TaskFigures.Group group;
        try {
            group = TaskFigures.Group.parse(groupBy);
        } catch (IllegalArgumentException e) {
            throw Problems.unprocessable(e.getMessage());
        }
        TaskFigures.Report report = figures.of(group, last, limit);
        return new TaskReport(
                "success",
                report.from(),
                report.to(),
                group.wireName(),
                TaskGroup.of(report.all()),
                report.groups().stream().map(TaskGroup::of).toList(),
                report.steps().stream()
                        .map(step ->
                                new TimeStep(step.at(), step.count(), step.failed(), step.waiting(), step.running()))
                        .toList(),
                clock.instant());
    }

    /**
     * @param requirements without fields that require nothing
     * @param agents how many agents could take them, now or once they have capacity
     * @param explanation why they wait, as a clause
     */
    record BlockedTasks(
            @JsonProperty("requirements") JsonNode requirements,
            @JsonProperty("tasks") int tasks,
            @JsonProperty("oldest_age_seconds") double oldestAge,
            @JsonProperty("agents") long agents,
            @JsonProperty("explanation") String explanation) {
        static BlockedTasks of(BlockedGroup group, WaitExplainer.GroupReason reason, Instant now) {
            return new BlockedTasks(
                    group.requirements().sparse(),
                    group.tasks(),
                    Math.max(0, Duration.between(group.oldest(), now).toMillis()) / 1_000.0,
                    reason.agents(),
                    reason.explanation());
        }
    }

    record BlockedReport(
            @JsonProperty("status") String status,
            @JsonProperty("blocked") List<BlockedTasks> blocked,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/blocked")
    @Operation(
            summary = "Get the waiting tasks for which no agent is free, grouped by their requirements, and why",
            description = "The groups with the most tasks, of queues that are not paused. Reported every second.")
    BlockedReport blocked() {
        Instant now = clock.instant();
        return new BlockedReport(
                "success",
                stats.blocked().stream()
                        .limit(MAX_BLOCKED)
                        .map(group -> BlockedTasks.of(group, explainer.explain(group.requirements()), now))
                        .toList(),
                now);
    }
}

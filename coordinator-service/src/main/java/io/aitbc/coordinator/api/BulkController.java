package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Ids;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.history.BulkOperations;
import io.aitbc.coordinator.history.BulkOperations.Kind;
import io.aitbc.coordinator.history.BulkOperations.Operation;
import io.aitbc.coordinator.history.TaskFilter;
import io.aitbc.coordinator.history.TaskHistory;
import io.aitbc.coordinator.queue.TaskIds;
import io.aitbc.coordinator.security.Caller;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/tasks/bulk", "/v1/tasks/bulk"})
@Tag(name = "tasks")
class BulkController {
    private static final String UNKNOWN = "no bulk operation has this id";
    private static final int EXAMPLES = 5;
    private static final int DEFAULT_RATE = 200;
    private static final int MAX_RATE = 2_000;
    private static final List<TaskStatus> OPEN = List.of(TaskStatus.QUEUED, TaskStatus.ASSIGNED);

    private final TaskHistory history;
    private final BulkOperations operations;
    private final Clock clock;

    BulkController(TaskHistory history, BulkOperations operations, Clock clock) {
        this.history = history;
        this.operations = operations;
        this.clock = clock;
    }

    /**
     * @param filter the parameters of {@code GET /tasks}, without sort, limit and cursor
     * @param bulkId of the operation, so that it can be repeated; generated if absent
     * @param dryRun whether only to count
     * @param rate at most, in tasks per second, 1 to 2,000; 200 when absent
     */
    record BulkRequest(
            @JsonProperty("filter") ObjectNode filter,
            @JsonProperty("bulk_id") @Nullable String bulkId,
            @JsonProperty("dry_run") @Nullable Boolean dryRun,
            @JsonProperty("rate") @Nullable Integer rate) {}

    /**
     * @param bulkId absent in a dry run
     * @param state waiting, running, done or stopped; absent in a dry run
     * @param count tasks that match, when it began
     * @param isCountExact false if the count is an estimate; in a dry run only
     * @param examples the first five; in a dry run only
     * @param done tasks that were cancelled or redriven
     * @param skipped tasks that had ended, or were not failed, when their turn came
     * @param error why it does not proceed at present
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record BulkProgress(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("bulk_id") @Nullable String bulkId,
            @JsonProperty("kind") String kind,
            @JsonProperty("state") @Nullable String state,
            @JsonProperty("count") @Nullable Long count,
            @JsonProperty("count_exact") @Nullable Boolean isCountExact,
            @JsonProperty("examples") @Nullable List<ObjectNode> examples,
            @JsonProperty("done") @Nullable Long done,
            @JsonProperty("skipped") @Nullable Long skipped,
            @JsonProperty("rate") @Nullable Integer rate,
            @JsonProperty("error") @Nullable String error,
            @JsonProperty("created_at") @Nullable Instant createdAt,
            @JsonProperty("updated_at") @Nullable Instant updatedAt,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/cancel")
    @io.swagger.v3.oas.annotations.Operation(
            summary = "Cancel all waiting and running tasks that a search finds",
            description = BULK)
    BulkProgress cancel(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = BulkRequest.class)))
                    @RequestBody
                    ObjectNode body,
            @Parameter(hidden = true) Caller caller) {
        return run(Kind.CANCEL, body, caller);
    }

    @PostMapping("/redrive")
    @io.swagger.v3.oas.annotations.Operation(
            summary = "Redrive all failed tasks that a search finds",
            description = BULK)
    BulkProgress redrive(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = BulkRequest.class)))
                    @RequestBody
                    ObjectNode body,
            @Parameter(hidden = true) Caller caller) {
        return run(Kind.REDRIVE, body, caller);
    }

    private static final String BULK =
            "`filter` has the parameters of `GET /tasks`. With `dry_run`, the matching tasks are only counted. Otherwise"
                    + " the coordinators work in the background, at `rate` tasks per second; `GET /tasks/bulk/{bulk_id}` shows the progress. Repeated with"
                    + " the same `bulk_id`, it changes nothing and returns the progress. Requires a history.";

    private BulkProgress run(Kind kind, ObjectNode body, Caller caller) {
        BulkRequest request = Body.read(body, BulkRequest.class, true).message();
        if (request.filter() == null) {
            throw Problems.unprocessable("filter is required");
        }
        TaskFilter asked = TaskQuery.filter(request.filter(), caller);
        if (asked.isEmpty()) {
            throw Problems.unprocessable(
                    "filter must have a condition; a whole queue is cleared with POST /tasks/queues/{priority}/clear");
        }
        TaskFilter filter = restricted(kind, asked);
        if (Boolean.TRUE.equals(request.dryRun())) {
            AuditNote.current().unchanged();
            return preview(kind, filter);
        }
        int rate = request.rate() == null ? DEFAULT_RATE : request.rate();
        if (rate < 1 || rate > MAX_RATE) {
            throw Problems.unprocessable("rate must be from 1 to " + MAX_RATE);
        }
        String id = request.bulkId() == null ? TaskIds.next() : checked(request.bulkId());
        AuditNote.current().put("bulk_id", id).put("filter", request.filter().toString());
        Operation operation = operations.begin(id, kind, asked, filter, rate, caller.name());
        if (operation.kind() != kind || !operation.asked().equals(asked)) {
            throw Problems.conflict("bulk_id " + id + " is that of another operation");
        }
        return progress(operation);
    }

    private static String checked(String id) {
        if (!id.matches(Ids.PATTERN)) {
            throw Problems.unprocessable("bulk_id " + Ids.RULE);
        }
        return id;
    }

    /** Tasks that fail again while it runs are not redriven again, and those that are submitted meanwhile are not cancelled. */
    private TaskFilter restricted(Kind kind, TaskFilter filter) {
        List<TaskStatus> possible = kind == Kind.CANCEL ? OPEN : List.of(TaskStatus.FAILED);
        List<TaskStatus> states = filter.statuses().isEmpty() ? possible : filter.statuses();
        if (!possible.containsAll(states)) {
            throw Problems.unprocessable(
                    kind == Kind.CANCEL
                            ? "only queued and assigned tasks can be cancelled"
                            : "only failed tasks can be redriven");
        }
        return kind == Kind.CANCEL
                ? filter.restrictedTo(states, clock.instant(), null)
                : filter.restrictedTo(states, null, clock.instant());
    }

    private BulkProgress preview(Kind kind, TaskFilter filter) {
        TaskHistory.Page page = history.count(filter, EXAMPLES);
        return new BulkProgress(
                "success",
                String.format(
                        Locale.ROOT,
                        "%s%,d %s would be %s",
                        page.isExact() ? "" : "About ",
                        page.count(),
                        page.count() == 1 ? "task" : "tasks",
                        kind == Kind.CANCEL ? "cancelled" : "redriven"),
                null,
                kind.wireName(),
                null,
                page.count(),
                page.isExact(),
                page.tasks(),
                null,
                null,
                null,
                null,
                null,
                null,
                clock.instant());
    }

    @GetMapping("/{bulk_id}")
    @io.swagger.v3.oas.annotations.Operation(summary = "Get the progress of a bulk operation")
    BulkProgress get(@PathVariable("bulk_id") String id) {
        return operations.find(id).map(this::progress).orElseThrow(() -> Problems.notFound(UNKNOWN));
    }

    @PostMapping("/{bulk_id}/stop")
    @io.swagger.v3.oas.annotations.Operation(summary = "Stop a bulk operation; what is done stays done")
    BulkProgress stop(@PathVariable("bulk_id") String id) {
        return operations.stop(id).map(this::progress).orElseThrow(() -> Problems.notFound(UNKNOWN));
    }

    private BulkProgress progress(Operation operation) {
        return new BulkProgress(
                "success",
                "Bulk operation is " + operation.state(),
                operation.id(),
                operation.kind().wireName(),
                operation.state(),
                operation.total(),
                null,
                null,
                operation.done(),
                operation.skipped(),
                operation.rate(),
                operation.error(),
                operation.createdAt(),
                operation.updatedAt(),
                clock.instant());
    }
}

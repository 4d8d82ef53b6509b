package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.intake.ResultReports;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.trace.TraceHeader;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/tasks", "/v1/tasks"})
@Tag(name = "tasks", description = "Submission, state, results and cancellation of tasks")
class ResultController {
    private final ResultReports reports;
    private final Clock clock;

    ResultController(ResultReports reports, Clock clock) {
        this.reports = reports;
        this.clock = clock;
    }

    record Reported(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("assignment_id") String assignmentId,
            @JsonProperty("timestamp") Instant timestamp,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PostMapping("/{task_id}/results")
    @ResponseStatus(HttpStatus.ACCEPTED)
    @Operation(
            summary = "Report the result or the progress of an attempt, in the format of `tasks.results`; idempotent",
            description =
                    "Progress is published at most once a second for each attempt: of several reports in a second, the newest.")
    @ApiResponse(responseCode = "202", description = "Accepted; also for a report that is repeated")
    Reported report(
            @PathVariable("task_id") @Id String taskId,
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = TaskResult.class)))
                    @RequestBody
                    ObjectNode body,
            @Parameter(description = TaskController.STRICT) @RequestParam(name = "strict", defaultValue = "false")
                    boolean strict,
            @Parameter(hidden = true) @RequestHeader(name = TaskHeaders.TRACEPARENT, required = false) @Nullable
                    String trace,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        if (!body.has("task_id")) {
            body.put("task_id", taskId);
        }
        Body<TaskResult> read = Body.read(body, TaskResult.class, strict);
        TaskResult result = read.message();
        if (!result.taskId().equals(taskId)) {
            throw Problems.unprocessable("task_id must equal the one in the path");
        }
        if (!result.assignmentId().equals(Assignment.id(taskId, result.attempt()))) {
            throw Problems.unprocessable(
                    "assignment_id must be task_id and attempt, such as " + Assignment.id(taskId, 1));
        }
        caller.requireAgent(result.agentId());
        ResultReports.Outcome outcome;
        try {
            outcome = reports.report(result, TraceHeader.checked(trace)).orElseThrow(Problems::taskNotFound);
        } catch (ResultReports.TooLargeException e) {
            throw new ResponseStatusException(HttpStatus.CONTENT_TOO_LARGE, e.getMessage(), e);
        }
        String message = switch (outcome) {
            case ACCEPTED -> "Report of " + result.assignmentId() + " accepted";
            case REPEATED -> "Report of " + result.assignmentId() + " was already accepted";
            case RESTORING ->
                throw new ResponseStatusException(
                        HttpStatus.SERVICE_UNAVAILABLE,
                        "assignments are being restored from Kafka: repeat the report in a second");
            case NOT_LIVE ->
                throw Problems.conflict("attempt " + result.attempt() + " is not live at agent " + result.agentId()
                        + ": its task has ended, or was requeued");
        };
        return new Reported("success", message, taskId, result.assignmentId(), clock.instant(), read.warnings());
    }
}

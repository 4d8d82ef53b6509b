package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.Cancellations;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.history.TaskHistory;
import io.aitbc.coordinator.intake.Submissions;
import io.aitbc.coordinator.intake.WaitingLimit;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.RateLimits;
import io.aitbc.coordinator.security.ThrottledException;
import io.aitbc.coordinator.security.UserTokens;
import io.aitbc.coordinator.stats.ClusterStats;
import io.aitbc.coordinator.stats.TaskJson;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.coordinator.trace.TraceHeader;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.ArraySchema;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.MediaType;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.request.async.DeferredResult;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/tasks", "/v1/tasks"})
@Tag(name = "tasks", description = "Submit tasks, and read their state and result")
class TaskController {
    private static final Logger log = LoggerFactory.getLogger(TaskController.class);
    private static final Duration MAX_WAIT = Duration.ofSeconds(60);

    /** Description in the OpenAPI document for all calls that read a body. */
    static final String STRICT = "Refuse unknown fields instead of listing them in `warnings`";

    /** What a retry takes over. */
    private static final List<String> SUBMITTED = List.of(
            "task_data",
            "requirements",
            "priority",
            "max_attempts",
            "timeout_seconds",
            "fairness_key",
            "fairness_weight",
            "labels",
            "uses");

    private static final List<String> ENDED = Stream.of(TaskStatus.values())
            .filter(TaskStatus::hasEnded)
            .map(TaskStatus::wireName)
            .toList();
    /** What the history adds to the state in Redis. */
    private static final List<String> FROM_HISTORY = List.of(
            "task_type",
            "fairness_weight",
            "task_data",
            "task_data_truncated",
            "task_data_bytes",
            "retry_of",
            "attempts");

    private final Submissions submissions;
    private final TaskStates states;
    private final TaskEndPoller endPoller;
    private final Cancellations cancellations;
    private final WaitExplainer waitExplainer;
    private final ClusterStats clusterStats;
    private final ClusterControl control;
    private final UserTokens userTokens;
    private final RateLimits limits;
    private final WaitingLimit waitingLimit;
    private final TaskHistory history;
    private final Clock clock;

    TaskController(
            Submissions submissions,
            TaskStates states,
            TaskEndPoller endPoller,
            Cancellations cancellations,
            WaitExplainer waitExplainer,
            ClusterStats clusterStats,
            ClusterControl control,
            UserTokens userTokens,
            RateLimits limits,
            WaitingLimit waitingLimit,
            TaskHistory history,
            Clock clock) {
        this.submissions = submissions;
        this.states = states;
        this.endPoller = endPoller;
        this.cancellations = cancellations;
        this.waitExplainer = waitExplainer;
        this.clusterStats = clusterStats;
        this.control = control;
        this.userTokens = userTokens;
        this.limits = limits;
        this.waitingLimit = waitingLimit;
        this.history = history;
        this.clock = clock;
    }

    /** The task, unless it uses more than a limit can give, or one that is not the caller's. */
    private Task possible(Task task, Caller caller) {
        String foreign = caller.isScoped() ? control.limits().ofAnotherKey(task) : null;
        if (foreign != null) {
            throw new AccessDeniedException(Problems.ofAnotherKey(foreign));
        }
        String impossible = control.limits().impossible(task);
        if (impossible != null) {
            throw Problems.unprocessable(impossible);
        }
        return task;
    }

    record Submitted(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("submitted_at") Instant submittedAt,

            @JsonProperty("existing_status") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            TaskStatus existingStatus,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PostMapping("/submit")
    @Operation(
            summary = "Submit a task; idempotent: a repeated task_id returns the first submission, with its state in"
                    + " `existing_status`")
    Submitted submit(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = Task.class)))
                    @RequestBody
                    ObjectNode body,
            @Parameter(description = STRICT) @RequestParam(name = "strict", defaultValue = "false") boolean strict,
            @Parameter(hidden = true) @RequestHeader(name = TaskHeaders.TRACEPARENT, required = false) @Nullable
                    String trace,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        Body<Task> task = Body.read(body, Task.class, strict);
        requireRoom(caller, 1);
        Submissions.Accepted accepted = submissions.submit(
                possible(caller.inScope(task.message()), caller), TraceHeader.checked(trace), caller.fairnessKey());
        return new Submitted(
                "success",
                message(accepted),
                accepted.taskId(),
                accepted.priority(),
                accepted.submittedAt(),
                accepted.existingStatus(),
                task.warnings());
    }

    private static String message(Submissions.Accepted accepted) {
        TaskStatus existing = accepted.existingStatus();
        if (existing == null) {
            return "Task submitted";
        }
        return existing.hasEnded()
                ? "Task was already submitted (" + existing.wireName() + ") and will not run again"
                : "Task was already submitted";
    }

    /**
     * @param status accepted, repeated or refused; if refused, {@code detail} is the reason
     * @param existingStatus the task's current status, if it is repeated
     */
    record BatchItem(
            @JsonProperty("index") int index,
            @JsonProperty("status") String status,

            @JsonProperty("task_id") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            String taskId,

            @JsonProperty("priority") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Priority priority,

            @JsonProperty("existing_status") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            TaskStatus existingStatus,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings,

            @JsonProperty("detail") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            String detail) {}

    record Batch(
            @JsonProperty("status") String status,
            @JsonProperty("accepted") long accepted,
            @JsonProperty("repeated") long repeated,
            @JsonProperty("refused") long refused,
            @JsonProperty("results") List<BatchItem> results,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping(
            path = "/submit/batch",
            consumes = {MediaType.APPLICATION_JSON_VALUE, MediaType.APPLICATION_NDJSON_VALUE})
    @Operation(summary = "Submit a batch of tasks, as a JSON array or NDJSON; invalid tasks are refused individually")
    Batch submitBatch(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            content = @Content(array = @ArraySchema(schema = @Schema(implementation = Task.class))))
                    @RequestBody
                    byte[] body,
            @Parameter(description = STRICT) @RequestParam(name = "strict", defaultValue = "false") boolean strict,
            @Parameter(hidden = true) @RequestHeader(name = TaskHeaders.TRACEPARENT, required = false) @Nullable
                    String trace,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        List<TaskBatch.Item> items = TaskBatch.read(body, strict).stream()
                .map(item -> item.inScope(caller).within(control.limits(), caller))
                .toList();
        List<Task> tasks = items.stream()
                .map(TaskBatch.Item::task)
                .filter(Objects::nonNull)
                .toList();
        limits.charge(caller, tasks.size() - 1);
        requireRoom(caller, tasks.size());
        List<Submissions.Outcome> submitted =
                submissions.submit(tasks, TraceHeader.checked(trace), caller.fairnessKey());
        if (!submitted.isEmpty()
                && submitted.stream()
                        .allMatch(outcome -> outcome.failure() instanceof Submissions.NotAcceptedException
                                || outcome.failure() instanceof ThrottledException)) {
            throw submitted.get(0).failure();
        }
        Iterator<Submissions.Outcome> outcomes = submitted.iterator();
        List<BatchItem> results = new ArrayList<>();
        for (TaskBatch.Item item : items) {
            results.add(
                    item.task() == null
                            ? new BatchItem(results.size(), "refused", null, null, null, List.of(), item.error())
                            : result(results.size(), item, outcomes.next()));
        }
        Map<String, Long> counts =
                results.stream().collect(Collectors.groupingBy(BatchItem::status, Collectors.counting()));
        return new Batch(
                counts.containsKey("refused") ? "partial" : "success",
                counts.getOrDefault("accepted", 0L),
                counts.getOrDefault("repeated", 0L),
                counts.getOrDefault("refused", 0L),
                results,
                clock.instant());
    }

    private void requireRoom(Caller caller, int more) {
        if (caller.fairnessKey() != null) {
            waitingLimit.require(caller.fairnessKey(), more);
        }
    }

    private static BatchItem result(int index, TaskBatch.Item item, Submissions.Outcome outcome) {
        Submissions.Accepted accepted = outcome.accepted();
        return accepted == null
                ? new BatchItem(
                        index,
                        "refused",
                        item.task() == null ? null : item.task().taskId(),
                        null,
                        null,
                        item.warnings(),
                        outcome.failure() == null ? null : outcome.failure().getMessage())
                : new BatchItem(
                        index,
                        accepted.repeated() ? "repeated" : "accepted",
                        accepted.taskId(),
                        accepted.priority(),
                        accepted.existingStatus(),
                        item.warnings(),
                        null);
    }

    @GetMapping("/{task_id}")
    @Operation(
            summary = "Get the state of a task: queued, assigned, completed, failed, cancelled or expired",
            description =
                    "With a history (`AITBC_HISTORY_URL`) and without `wait`, also its input as `task_data`, its `attempts`, and tasks"
                            + " that Redis has forgotten. `waiting_callers` names those who wait for its end at this coordinator, with `wait`.")
    DeferredResult<ObjectNode> get(
            @PathVariable("task_id") @Id String taskId,
            @Parameter(
                            description =
                                    "Long poll: how long to wait for the task to end, such as 30s, at most 60s; also waits for a task that is not known yet."
                                            + " Ends early when this coordinator stops: with the task as it is, or 503 if it is not known yet")
                    @RequestParam(name = "wait", defaultValue = "0s")
                    Duration wait,
            @Parameter(hidden = true) Caller caller) {
        if (wait.isNegative() || wait.compareTo(MAX_WAIT) > 0) {
            throw Problems.unprocessable("wait must be from 0s to 60s");
        }
        Optional<TaskState> known = states.find(taskId);
        Optional<TaskState> state = known.filter(one -> caller.maySee(taskId, one.fairnessKey()));
        if (wait.isZero()) {
            // What Redis knows decides whose task it is.
            return TaskEndPoller.immediate(
                    known.isEmpty()
                            ? fromHistory(taskId, caller)
                            : withHistory(state.orElseThrow(Problems::taskNotFound), taskId, caller));
        }
        if (state.isPresent() && state.get().status().hasEnded()) {
            return TaskEndPoller.immediate(present(state.get(), caller));
        }
        return endPoller.await(taskId, wait, caller, found -> present(found, caller));
    }

    private TaskState require(String taskId, Caller caller) {
        return find(taskId, caller).orElseThrow(Problems::taskNotFound);
    }

    /** Empty if the task is unknown, or not the caller's to see. */
    private Optional<TaskState> find(String taskId, Caller caller) {
        return states.find(taskId).filter(state -> caller.maySee(taskId, state.fairnessKey()));
    }

    /** Input and attempts, which Redis does not keep. */
    private ObjectNode withHistory(TaskState state, String taskId, Caller caller) {
        ObjectNode task = present(state, caller);
        if (caller.taskId() == null) {
            history.findIfAvailable(taskId).filter(kept -> isOf(state, kept)).ifPresent(kept -> {
                hideNames(kept, caller);
                FROM_HISTORY.stream().filter(kept::has).forEach(field -> task.set(field, kept.get(field)));
            });
        }
        List<String> waiting = caller.isScoped() || caller.taskId() != null ? List.of() : endPoller.callersOf(taskId);
        if (!waiting.isEmpty()) {
            task.set("waiting_callers", Json.tree(waiting));
        }
        return task;
    }

    /** Whether the history has this task, and not an earlier one with the same id, perhaps another tenant's. */
    private static boolean isOf(TaskState state, ObjectNode kept) {
        Instant submitted = state.submittedAt();
        String keptSubmitted = kept.path("submitted_at").asString("");
        return Objects.equals(state.fairnessKey(), kept.path("fairness_key").asString(null))
                && (submitted == null
                        || keptSubmitted.isEmpty()
                        || submitted
                                .truncatedTo(ChronoUnit.MILLIS)
                                .equals(Instant.parse(keptSubmitted).truncatedTo(ChronoUnit.MILLIS)));
    }

    private ObjectNode fromHistory(String taskId, Caller caller) {
        if (!history.isOn()) {
            throw Problems.taskNotFound();
        }
        ObjectNode task = history.find(taskId)
                .filter(kept -> caller.maySee(taskId, kept.path("fairness_key").asString(null)))
                .orElseThrow(Problems::taskNotFound);
        hideNames(task, caller);
        return task.set("timestamp", Json.tree(clock.instant()));
    }

    private static void hideNames(ObjectNode task, Caller caller) {
        if (caller.isScoped()) {
            task.remove(TaskJson.AGENT_ID);
            task.path("attempts").forEach(attempt -> ((ObjectNode) attempt).remove(TaskJson.AGENT_ID));
        }
    }

    private ObjectNode present(TaskState state, Caller caller) {
        return TaskJson.of(state, !caller.isScoped()).set("timestamp", Json.tree(clock.instant()));
    }

    @GetMapping("/{task_id}/explain")
    @Operation(summary = "Explain why a task is waiting: obstacles per agent, closest agents, position in the queue")
    WaitExplainer.Explanation explain(
            @PathVariable("task_id") @Id String taskId, @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        return waitExplainer.explain(taskId, require(taskId, caller), !caller.isScoped());
    }

    record TaskToken(
            @JsonProperty("status") String status,
            @JsonProperty("token") String token,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("expires_at") Instant expiresAt) {}

    @PostMapping("/{task_id}/token")
    @Operation(
            summary = "Get a token for a browser, to read and to wait for this task only",
            description = "Requires `AITBC_JWT_SECRET`.")
    TaskToken token(
            @PathVariable("task_id") @Id String taskId,
            @Parameter(description = "Lifetime, at most an hour")
                    @RequestParam(name = "expires_in_seconds", defaultValue = "900")
                    @Min(1)
                    @Max(3_600)
                    int seconds,
            @Parameter(hidden = true) Caller caller) {
        require(taskId, caller);
        UserTokens.Signed signed = userTokens.ofTask(taskId, caller, Duration.ofSeconds(seconds));
        return new TaskToken("success", signed.token(), taskId, signed.expiresAt());
    }

    record Cancelled(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/{task_id}/cancel")
    @Operation(summary = "Cancel a task: a queued task is never assigned; the result of an assigned one is ignored")
    Cancelled cancel(@PathVariable("task_id") @Id String taskId, @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        if (caller.isScoped()) {
            require(taskId, caller);
        }
        Cancellations.Cancelled cancelled = cancellations.cancel(taskId);
        if (cancelled.before() == null) {
            throw Problems.taskNotFound();
        }
        String message = switch (cancelled.before()) {
            case QUEUED -> "Task cancelled before it was assigned";
            case ASSIGNED ->
                "Task cancelled, " + (caller.isScoped() ? "its agent" : "agent " + cancelled.agentId())
                        + " is being notified";
            case CANCELLED -> "Task was already cancelled";
            case COMPLETED, FAILED, EXPIRED ->
                throw Problems.conflict(
                        "the task has already ended as " + cancelled.before().wireName());
        };
        cancelled.notified().exceptionally(failure -> {
            log.atWarn()
                    .addKeyValue("task_id", taskId)
                    .addKeyValue("agent_id", cancelled.agentId())
                    .log("Agent could not be notified of a cancellation: {}", failure.toString());
            return null;
        });
        return new Cancelled("success", message, taskId, clock.instant());
    }

    /** @param retryOf the task that the new one repeats */
    record Retried(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("retry_of") String retryOf,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("submitted_at") Instant submittedAt,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PostMapping("/{task_id}/retry")
    @Operation(
            summary = "Submit an ended task again, as a new task, with changes",
            description =
                    "The body has the fields of a task that are to be other than before, such as `task_data` or `requirements`; it may be empty. The new"
                            + " task has an id of its own, which `task_id` may set so that the call can be repeated, and `retry_of`. Requires a history.")
    Retried retry(
            @PathVariable("task_id") @Id String taskId,
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            content = @Content(schema = @Schema(implementation = Task.class)))
                    @RequestBody(required = false)
                    @Nullable
                    ObjectNode changes,
            @Parameter(description = STRICT) @RequestParam(name = "strict", defaultValue = "false") boolean strict,
            @Parameter(hidden = true) @RequestHeader(name = TaskHeaders.TRACEPARENT, required = false) @Nullable
                    String trace,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        Optional<TaskState> known = states.find(taskId);
        boolean isVisible =
                known.isPresent() && caller.maySee(taskId, known.get().fairnessKey());
        ObjectNode before = history.find(taskId)
                .filter(kept -> caller.maySee(taskId, kept.path("fairness_key").asString(null)))
                .orElseThrow(() -> isVisible
                        ? Problems.conflict("the history does not have the task yet: try again")
                        : Problems.taskNotFound());
        if (known.isPresent() && (!caller.maySee(taskId, known.get().fairnessKey()) || !isOf(known.get(), before))) {
            throw Problems.taskNotFound();
        }
        String status = known.map(state -> state.status().wireName())
                .orElse(before.path("status").asString());
        if (!ENDED.contains(status)) {
            throw Problems.conflict("the task has not ended: it is " + status);
        }
        ObjectNode again = Json.object();
        SUBMITTED.stream().filter(before::has).forEach(field -> again.set(field, before.get(field)));
        boolean hasInput = changes != null && changes.has("task_data");
        if (!hasInput && (!before.has("task_data") || before.has("task_data_truncated"))) {
            throw Problems.conflict("the history has only a part of its task_data: give it in the body");
        }
        if (caller.fairnessKey() != null) {
            // It may not set one.
            again.remove("fairness_weight");
        }
        if (changes != null) {
            again.setAll(changes);
        }
        List<String> warnings = Body.read(again, Task.class, strict).warnings();
        if (again.path("task_id").asString("").equals(taskId)) {
            throw Problems.unprocessable("task_id must be that of a new task");
        }
        again.put("retry_of", taskId);
        Task task = caller.inScope(Json.read(again, Task.class));
        requireRoom(caller, 1);
        Submissions.Accepted accepted =
                submissions.submit(possible(task, caller), TraceHeader.checked(trace), caller.fairnessKey());
        return new Retried(
                "success",
                message(accepted),
                accepted.taskId(),
                taskId,
                accepted.priority(),
                accepted.submittedAt(),
                warnings);
    }

    record Status(
            @JsonProperty("status") String status,
            @JsonProperty("stats") ClusterStats.Tasks stats,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/status")
    @Operation(summary = "Get the task statistics of the cluster")
    Status status() throws InterruptedException {
        return new Status("success", clusterStats.tasks(true), clock.instant());
    }
}

package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Limit;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.match.WaitingLimit;
import io.aitbc.coordinator.stats.ClusterStats;
import io.aitbc.coordinator.stats.LimitSamples;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.coordinator.usage.LimitUsage;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Limits on what attempts use together. */
@RestController
@RequestMapping({"/limits", "/v1/limits"})
@Tag(name = "cluster")
final class LimitController {
    /** Each coordinator keeps them all in memory. */
    private static final int MAX_LIMITS = 1_000;
    /** They add to what tasks name, in each assignment. */
    private static final int MAX_APPLIED = 16;
    /** Of families with many names. */
    private static final int MAX_LISTED = 1_000;

    private static final int MAX_HOLDERS = 100;

    private static final String NAME = "The name of the limit; it may contain slashes, and end in *";

    private final ClusterControl control;
    private final ClusterStats stats;
    private final LimitUsage usage;
    private final LimitSamples samples;
    private final TaskStates tasks;
    private final Clock clock;

    LimitController(
            ClusterControl control,
            ClusterStats stats,
            LimitUsage usage,
            LimitSamples samples,
            TaskStates tasks,
            Clock clock) {
        this.control = control;
        this.stats = stats;
        this.usage = usage;
        this.samples = samples;
        this.tasks = tasks;
        this.clock = clock;
    }

    /**
     * @param period such as 2026-11-29, or 2026-11
     * @param spent units, corrected by what agents have reported
     * @param left units; 0 if more was spent than the budget
     * @param endsAt when the next period begins
     */
    record BudgetUse(
            @JsonProperty("period") String period,
            @JsonProperty("spent") long spent,
            @JsonProperty("units") long units,
            @JsonProperty("left") long left,
            @JsonProperty("ends_at") Instant endsAt) {}

    /**
     * @param definedBy the name of the definition, if it is another
     * @param inUse units that live attempts hold; absent of a definition that stands for many limits
     * @param room units that an attempt may use now; absent of such a definition
     * @param nextUnitAt when the next unit is due, if none may be used now; absent if an attempt has to end first
     * @param closedUntil until when nothing is granted, because an agent has said so
     * @param waiting number of tasks that it keeps back
     * @param oldestAge how long the longest-waiting of them has waited
     * @param holders attempts that hold units, at most 100
     * @param possiblyRunning attempts that hold none any more, because they were cancelled or their agents lost, but may run until their deadlines
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record LimitUse(
            @JsonProperty("name") String name,
            @JsonProperty("limit") Limit limit,
            @JsonProperty("defined_by") @Nullable String definedBy,
            @JsonProperty("in_use") @Nullable Long inUse,
            @JsonProperty("room") @Nullable Long room,
            @JsonProperty("next_unit_at") @Nullable Instant nextUnitAt,
            @JsonProperty("budget") @Nullable BudgetUse budget,
            @JsonProperty("closed_until") @Nullable Instant closedUntil,
            @JsonProperty("waiting") @Nullable Integer waiting,
            @JsonProperty("oldest_age_seconds") @Nullable Double oldestAge,
            @JsonProperty("holders") @Nullable List<LimitHolder> holders,
            @JsonProperty("possibly_running") @Nullable Long possiblyRunning) {}

    /** @param agentId absent if the attempt has just ended */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record LimitHolder(
            @JsonProperty("task_id") String taskId,
            @JsonProperty("units") long units,
            @JsonProperty("agent_id") @Nullable String agentId,
            @JsonProperty("since") @Nullable Instant since) {}

    record LimitUses(
            @JsonProperty("status") String status,
            @JsonProperty("limits") List<LimitUse> limits,
            @JsonProperty("timestamp") Instant timestamp) {}

    /** @param samples of the last 15 minutes, every 5 s, as this coordinator has seen it; the oldest first */
    record OneLimit(
            @JsonProperty("status") String status,
            @JsonProperty("limit") LimitUse limit,
            @JsonProperty("samples") List<LimitSamples.Sample> samples,
            @JsonProperty("timestamp") Instant timestamp) {}

    record LimitSet(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("name") String name,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(
            summary = "List limits, and what is used of them",
            description = "Of a name that ends in `*`, those limits are listed that are used; 1,000 in all.")
    LimitUses limits() {
        Instant now = clock.instant();
        LimitBook book = control.limits();
        Map<String, WaitingLimit> waiting = stats.waitingLimits();
        TreeSet<String> known = new TreeSet<>(book.definitions().keySet());
        known.addAll(waiting.keySet());
        known.addAll(usage.known(MAX_LISTED));
        List<String> names = known.stream()
                .filter(name -> book.definition(name) != null)
                .limit(MAX_LISTED)
                .toList();
        Map<String, LimitState> states = control.limitStates(names, now);
        List<LimitUse> limits = names.stream()
                .map(name ->
                        use(name, book, Objects.requireNonNull(states.get(name)), waiting.get(name), null, null, now))
                .toList();
        return new LimitUses("success", limits, now);
    }

    @GetMapping("/{*name}")
    @Operation(summary = "Get a limit, what is used of it, and which tasks hold it")
    OneLimit limit(@Parameter(description = NAME) @PathVariable("name") String path, HttpServletRequest request) {
        String name = name(path, request);
        Instant now = clock.instant();
        LimitBook book = control.limits();
        if (book.definition(name) == null) {
            throw notDefined(name);
        }
        LimitState state =
                Objects.requireNonNull(control.limitStates(List.of(name), now).get(name));
        return new OneLimit(
                "success",
                use(
                        name,
                        book,
                        state,
                        stats.waitingLimits().get(name),
                        holders(name),
                        usage.possiblyRunning(name, now),
                        now),
                samples.of(name),
                now);
    }

    private List<LimitHolder> holders(String name) {
        List<LimitUsage.Holder> found = usage.holders(name, MAX_HOLDERS);
        Map<String, TaskState> states =
                tasks.findAll(found.stream().map(LimitUsage.Holder::taskId).toList());
        List<LimitHolder> holders = new ArrayList<>();
        for (LimitUsage.Holder one : found) {
            TaskState state = states.get(one.taskId());
            holders.add(new LimitHolder(
                    one.taskId(),
                    one.units(),
                    state == null ? null : state.agentId(),
                    state == null ? null : state.assignedAt()));
        }
        return holders;
    }

    private static LimitUse use(
            String name,
            LimitBook book,
            LimitState state,
            @Nullable WaitingLimit waiting,
            @Nullable List<LimitHolder> holders,
            @Nullable Long possiblyRunning,
            Instant now) {
        String definedBy = Objects.requireNonNull(book.definitionName(name));
        Limit limit = Objects.requireNonNull(book.definition(name));
        if (Limit.isFamily(name)) {
            return new LimitUse(name, limit, null, null, null, null, null, null, null, null, null, null);
        }
        long room = state.room(limit, 0, now);
        Instant due = state.dueAt(limit, 1, 0, now);
        return new LimitUse(
                name,
                limit,
                definedBy.equals(name) ? null : definedBy,
                state.used(),
                room,
                room > 0 || due.equals(Instant.MAX) ? null : due,
                limit.budget() == null ? null : budget(limit.budget(), state, now),
                now.isBefore(state.closedUntil()) ? state.closedUntil() : null,
                waiting == null ? 0 : waiting.tasks(),
                waiting == null
                        ? null
                        : Math.max(0, Duration.between(waiting.oldest(), now).toMillis()) / 1_000.0,
                holders,
                possiblyRunning);
    }

    private static BudgetUse budget(Limit.Budget budget, LimitState state, Instant now) {
        long spent = state.spent(budget, now);
        return new BudgetUse(
                budget.period(now), spent, budget.units(), Math.max(0, budget.units() - spent), budget.end(now));
    }

    @PutMapping("/{*name}")
    @Operation(
            summary = "Define a limit",
            description =
                    "From the answer on, no attempt starts that would exceed it. Attempts that run are not stopped. A name that ends in `*`"
                            + " gives each name that begins alike a limit of its own; the most specific definition counts.")
    LimitSet setLimit(
            @Parameter(description = NAME) @PathVariable("name") String path,
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            content = @Content(schema = @Schema(implementation = Limit.class)))
                    @RequestBody
                    ObjectNode body,
            HttpServletRequest request)
            throws InterruptedException {
        String name = name(path, request);
        Limit limit = Body.read(body, Limit.class, true).message();
        try {
            limit.check(name);
        } catch (IllegalArgumentException e) {
            throw Problems.unprocessable(e.getMessage());
        }
        Map<String, Limit> definitions = control.limits().definitions();
        if (definitions.size() >= MAX_LIMITS && !definitions.containsKey(name)) {
            throw Problems.conflict(MAX_LIMITS + " limits are defined, which is the most there may be");
        }
        long applied = definitions.entrySet().stream()
                .filter(one ->
                        one.getValue().appliesTo() != null && !one.getKey().equals(name))
                .count();
        if (limit.appliesTo() != null && applied >= MAX_APPLIED) {
            throw Problems.conflict(
                    MAX_APPLIED + " limits with applies_to are defined, which is the most there may be");
        }
        AuditNote.current().put("limit", body);
        control.setLimit(name, limit);
        return new LimitSet("success", "The limit " + name + " is defined", name, clock.instant());
    }

    @DeleteMapping("/{*name}")
    @Operation(summary = "Remove a limit")
    LimitSet removeLimit(@Parameter(description = NAME) @PathVariable("name") String path, HttpServletRequest request)
            throws InterruptedException {
        String name = name(path, request);
        if (!control.limits().definitions().containsKey(name)) {
            throw notDefined(name);
        }
        control.setLimit(name, null);
        return new LimitSet("success", "The limit " + name + " was removed", name, clock.instant());
    }

    private static RuntimeException notDefined(String name) {
        return Problems.notFound("no limit " + name + " is defined");
    }

    /** Clients and servers treat some characters in paths in ways of their own: another limit would be changed. */
    private static String name(String path, HttpServletRequest request) {
        String name = path.isEmpty() ? path : path.substring(1);
        if (request.getRequestURI().contains("//") || request.getRequestURI().contains(";")) {
            throw Problems.unprocessable("the name of a limit must have neither ; nor two slashes in a row");
        }
        try {
            return Limit.checkName(name);
        } catch (IllegalArgumentException e) {
            throw Problems.unprocessable(e.getMessage());
        }
    }
}

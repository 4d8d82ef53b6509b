package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Claim;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.delivery.AssignmentClaims;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.OpenCalls;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.ArraySchema;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.request.async.DeferredResult;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/agents", "/v1/agents"})
@Tag(name = "agents", description = "Registration, heartbeats and discovery of agents")
class ClaimController {
    /** Redis may take this long to answer the last look of a claim. */
    private static final Duration TIMEOUT_MARGIN = Duration.ofSeconds(10);

    private final Registry registry;
    private final AssignmentClaims claims;
    private final OpenCalls calls;
    private final Clock clock;

    ClaimController(Registry registry, AssignmentClaims claims, OpenCalls calls, Clock clock) {
        this.calls = calls;
        this.registry = registry;
        this.claims = claims;
        this.clock = clock;
    }

    record Claimed(
            @JsonProperty("status") String status,

            @JsonProperty("assignments") @ArraySchema(schema = @Schema(implementation = Assignment.class))
            List<JsonNode> assignments,

            @JsonProperty("cancelled") List<String> cancelled,
            @JsonProperty("timestamp") Instant timestamp,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PostMapping("/{agent_id}/assignments/claim")
    @Operation(
            summary = "Claim assignments, for agents registered with delivery `pull`; waits until there are some",
            description =
                    "An open claim limits what is assigned: the agent is assigned only as many tasks as its open claims request."
                            + " A claim is a heartbeat, and ends the open claim of the same `instance_id`. An assignment that is"
                            + " not confirmed in `received` of a later claim, by progress or by a result is redelivered, with the"
                            + " same `assignment_id`: to the same instance at once, to another one after 10 s. `cancelled` names"
                            + " assignments that the instance should stop working on.")
    DeferredResult<Claimed> claim(
            @PathVariable("agent_id") @Id String agentId,
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            content = @Content(schema = @Schema(implementation = Claim.class)))
                    @RequestBody(required = false)
                    @Nullable
                    ObjectNode body,
            @Parameter(description = TaskController.STRICT) @RequestParam(name = "strict", defaultValue = "false")
                    boolean strict,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        Body<Claim> read = Body.read(body == null ? Json.object() : body, Claim.class, strict);
        AgentController.checkRecorded(
                registry,
                registry.recordHeartbeat(new Heartbeat(agentId, null, null, null, null, null), clock.instant()));
        DeferredResult<Claimed> result =
                new DeferredResult<>(Duration.ofSeconds(read.message().waitSeconds())
                        .plus(TIMEOUT_MARGIN)
                        .toMillis());
        result.onTimeout(() -> result.setErrorResult(new ResponseStatusException(
                HttpStatus.SERVICE_UNAVAILABLE, "the assignments could not be read from Redis")));
        result.onCompletion(calls.watch(caller, () -> {
            result.setErrorResult(Caller.ended());
            claims.end(agentId);
        }));
        claims.claim(agentId, read.message()).whenComplete((answer, failure) -> {
            if (failure != null) {
                result.setErrorResult(failure);
            } else if (answer.refusal() != null) {
                result.setErrorResult(problem(registry, agentId, answer.refusal()));
            } else {
                result.setResult(new Claimed(
                        "success", answer.assignments(), answer.cancelled(), clock.instant(), read.warnings()));
            }
        });
        return result;
    }

    private static ResponseStatusException problem(
            Registry registry, String agentId, AssignmentClaims.Refusal refusal) {
        return switch (refusal) {
            case UNKNOWN_AGENT -> AgentController.unknownAgent(registry);
            case OTHER_DELIVERY ->
                Problems.conflict("agent " + agentId
                        + " does not pull its assignments: register it with delivery pull to claim" + " them");
            case TOO_MANY_OPEN ->
                new ResponseStatusException(
                        HttpStatus.SERVICE_UNAVAILABLE, "too many claims are open at this coordinator: try again");
        };
    }
}

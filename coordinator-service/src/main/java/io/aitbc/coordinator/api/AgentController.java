package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.delivery.AssignmentClaims;
import io.aitbc.coordinator.registry.HeartbeatTopic;
import io.aitbc.coordinator.registry.HeldAssignment;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.coordinator.security.Caller;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/agents", "/v1/agents"})
@Tag(name = "agents", description = "Registration, heartbeats and discovery of agents")
class AgentController {
    private static final long WAIT_SECONDS = 2;

    private final Registry registry;
    private final AgentSearch search;
    private final HeartbeatTopic topic;
    private final AssignmentClaims claims;
    private final Clock clock;

    AgentController(Registry registry, AgentSearch search, HeartbeatTopic topic, AssignmentClaims claims, Clock clock) {
        this.claims = claims;
        this.registry = registry;
        this.search = search;
        this.topic = topic;
        this.clock = clock;
    }

    record Registered(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("agent_id") String agentId,
            @JsonProperty("registered_at") Instant registeredAt,
            @JsonUnwrapped AgentSearch.Reach reach,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PostMapping("/register")
    @Operation(summary = "Register or update an agent; one with delivery `kafka` gets a topic")
    Registered register(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = Registration.class)))
                    @RequestBody
                    ObjectNode body,
            @Parameter(description = TaskController.STRICT) @RequestParam(name = "strict", defaultValue = "false")
                    boolean strict,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        Body<Registration> read = Body.read(body, Registration.class, strict);
        Registration registration = read.message();
        String id = registration.agentId();
        caller.requireAgent(id);
        recordHeartbeat(Heartbeat.of(registration));
        topic.append(Heartbeat.of(registration));
        Optional<Agent> registered = registry.find(id);
        Instant registeredAt = registered.map(Agent::registeredAt).orElseGet(clock::instant);
        if (registered.isPresent()
                && registration.delivery() == Delivery.KAFKA
                && registered.get().unreached() != null) {
            read = read.withWarning(
                    "nothing is assigned to " + id + " until it sends a heartbeat over Kafka, or its consumer"
                            + " group has a member; an agent without Kafka registers with delivery pull or push");
        }
        return new Registered(
                "success",
                "Agent " + id + " registered successfully",
                id,
                registeredAt,
                search.reach(registration),
                read.warnings());
    }

    record OneAgent(
            @JsonProperty("status") String status,
            @JsonProperty("agent") ObjectNode agent,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/{agent_id}")
    @Operation(summary = "Get an agent, with its health and the deductions from it")
    OneAgent get(@PathVariable("agent_id") @Id String agentId) {
        Instant now = clock.instant();
        Agent agent = registry.find(agentId).orElseThrow(() -> unknownAgent(registry));
        ObjectNode json = search.summarize(agent, now).json();
        registry.pushFailure(agentId).ifPresent(failure -> json.put("push_failure", failure));
        return new OneAgent("success", json, now);
    }

    record StatusChanged(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("agent_id") String agentId,
            @JsonProperty("new_status") AgentStatus newStatus,
            @JsonProperty("updated_at") Instant updatedAt,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PutMapping("/{agent_id}/status")
    @Operation(
            summary =
                    "Set the status of an agent, and optionally its load; an inactive agent returns at its next heartbeat")
    StatusChanged changeStatus(
            @PathVariable("agent_id") @Id String agentId,
            @RequestBody ObjectNode change,
            @Parameter(description = TaskController.STRICT) @RequestParam(name = "strict", defaultValue = "false")
                    boolean strict)
            throws InterruptedException {
        Body<Heartbeat> read = readHeartbeat(agentId, change, strict);
        Heartbeat heartbeat = read.message();
        if (heartbeat.status() == null) {
            throw Problems.unprocessable("status is required");
        }
        noteChange(agentId, heartbeat.status());
        Instant now = recordHeartbeat(heartbeat);
        // Wait for the publication: if it were read after the agent's next heartbeat, it would count as newer.
        topic.append(heartbeat)
                .completeOnTimeout(null, WAIT_SECONDS, TimeUnit.SECONDS)
                .join();
        return new StatusChanged(
                "success",
                "Status of agent " + agentId + " is now " + heartbeat.status().wireName(),
                agentId,
                heartbeat.status(),
                now,
                read.warnings());
    }

    /** Some agents report their load with their status, all the time. */
    private void noteChange(String agentId, AgentStatus status) {
        AuditNote note = AuditNote.current().put("status", status.wireName());
        if (registry.find(agentId).filter(agent -> agent.status() == status).isPresent()) {
            note.unchanged();
        }
    }

    record HeartbeatReceived(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("agent_id") String agentId,
            @JsonProperty("heartbeat_at") Instant heartbeatAt,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PostMapping("/{agent_id}/heartbeat")
    @Operation(summary = "Send a heartbeat over REST")
    HeartbeatReceived heartbeat(
            @PathVariable("agent_id") @Id String agentId,
            @RequestBody(required = false) @Nullable ObjectNode load,
            @Parameter(description = TaskController.STRICT) @RequestParam(name = "strict", defaultValue = "false")
                    boolean strict)
            throws InterruptedException {
        Body<Heartbeat> read = readHeartbeat(agentId, load == null ? Json.object() : load, strict);
        Instant now = recordHeartbeat(read.message());
        return new HeartbeatReceived("success", "Heartbeat of " + agentId + " received", agentId, now, read.warnings());
    }

    record Deregistered(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("agent_id") String agentId,
            @JsonProperty("deregistered_at") Instant deregisteredAt) {}

    @DeleteMapping("/{agent_id}")
    @Operation(
            summary = "Deregister an agent; its unsettled tasks are requeued",
            description =
                    "With `instance_id`, 409 if another instance of an agent that pulls has an open claim or an assignment:"
                            + " so a process that stops does not take out of service the one that replaces it.")
    Deregistered deregister(
            @PathVariable("agent_id") @Id String agentId,
            @Parameter(description = "The process that stops, as in its claims")
                    @RequestParam(name = "instance_id", required = false)
                    @Id
                    @Nullable
                    String instanceId) {
        requireKnown(agentId);
        if (instanceId != null && claims.isUsedByAnother(agentId, instanceId)) {
            throw Problems.conflict("another instance of agent " + agentId + " has an open claim or an assignment");
        }
        // Publish first, so that it cannot be read after the agent's next registration and end it.
        topic.append(new Heartbeat(agentId, AgentStatus.INACTIVE, null, null, null, null))
                .completeOnTimeout(null, WAIT_SECONDS, TimeUnit.SECONDS)
                .join();
        String message = switch (registry.deregister(agentId, clock.instant())) {
            case DEREGISTERED -> "Agent " + agentId + " deregistered";
            case ALREADY_DEREGISTERED -> "Agent " + agentId + " was already deregistered";
            case UNKNOWN -> throw unknownAgent(registry);
        };
        return new Deregistered("success", message, agentId, clock.instant());
    }

    private void requireKnown(String agentId) {
        if (registry.find(agentId).isEmpty()) {
            throw unknownAgent(registry);
        }
    }

    record Held(
            @JsonProperty("assignment_id") String assignmentId,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("attempt") int attempt,
            @JsonProperty("assigned_at") Instant assignedAt,
            @JsonProperty("deadline") Instant deadline) {}

    record HeldPage(
            @JsonProperty("status") String status,
            @JsonProperty("agent_id") String agentId,
            @JsonProperty("assignments") List<Held> assignments,
            @JsonProperty("count") int count,
            @JsonProperty("total") int total,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/{agent_id}/assignments")
    @Operation(summary = "List the assignments of an agent, earliest deadline first; `total` counts all")
    HeldPage assignments(
            @PathVariable("agent_id") @Id String agentId,
            @RequestParam(defaultValue = "100") @Min(1) @Max(10_000) int limit) {
        requireKnown(agentId);
        List<HeldAssignment> all = registry.heldBy(agentId);
        List<Held> page = all.stream()
                .limit(limit)
                .map(held -> new Held(
                        Assignment.id(held.taskId(), held.attempt()),
                        held.taskId(),
                        held.attempt(),
                        held.assignedAt(),
                        held.deadline()))
                .toList();
        return new HeldPage("success", agentId, page, page.size(), all.size(), clock.instant());
    }

    private static Body<Heartbeat> readHeartbeat(String agentId, ObjectNode body, boolean strict) {
        return Body.read(body.put("agent_id", agentId), Heartbeat.class, strict);
    }

    private Instant recordHeartbeat(Heartbeat heartbeat) throws InterruptedException {
        Instant now = clock.instant();
        checkRecorded(registry, registry.recordHeartbeat(heartbeat, now));
        return now;
    }

    /** After Redis was emptied, an agent that is not known yet may be registered. */
    static ResponseStatusException unknownAgent(Registry registry) {
        return registry.isRestored()
                ? Problems.agentNotFound()
                : new ResponseStatusException(
                        HttpStatus.SERVICE_UNAVAILABLE,
                        "agents are being restored from Kafka: repeat the request in a second");
    }

    static void checkRecorded(Registry registry, Registry.HeartbeatOutcome outcome) {
        switch (outcome) {
            case KNOWN, CONTESTED -> {}
            case UNKNOWN -> throw unknownAgent(registry);
            case LEAVING ->
                throw Problems.conflict(
                        "the topic of the agent that was deregistered under this id is being deleted: try"
                                + " again in a second");
        }
    }
}

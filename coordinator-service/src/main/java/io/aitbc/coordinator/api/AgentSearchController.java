package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.coordinator.api.AgentSearch.AgentSummary;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Clock;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/agents", "/v1/agents"})
@Tag(name = "agents", description = "Registration, heartbeats and discovery of agents")
class AgentSearchController {
    private static final Comparator<AgentSummary> HEALTHIEST_FIRST = Comparator.<AgentSummary>comparingDouble(
                    seen -> -seen.health().score())
            .thenComparing(AgentSummary::id);

    private final AgentSearch search;
    private final Clock clock;

    AgentSearchController(AgentSearch search, Clock clock) {
        this.search = search;
        this.clock = clock;
    }

    record Discovered(
            @JsonProperty("status") String status,
            @JsonProperty("query") ObjectNode query,
            @JsonProperty("agents") List<ObjectNode> agents,
            @JsonProperty("count") int count,
            @JsonProperty("timestamp") Instant timestamp,

            @JsonProperty("warnings") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<String> warnings) {}

    @PostMapping("/discover")
    @Operation(summary = "Discover agents, healthiest first")
    Discovered discover(
            @RequestBody ObjectNode query,
            @Parameter(description = TaskController.STRICT) @RequestParam(name = "strict", defaultValue = "false")
                    boolean strict) {
        Instant now = clock.instant();
        if (!strict && asksForUnknownStatus(query)) {
            ObjectNode known = query.deepCopy();
            String status = known.remove("status").asString();
            List<String> warnings = Body.read(known, AgentQuery.class, false)
                    .withWarning("no agent has the status " + status)
                    .warnings();
            return new Discovered("success", query, List.of(), 0, now, warnings);
        }
        Body<AgentQuery> read = Body.read(query, AgentQuery.class, strict);
        AgentQuery wanted = read.message();
        List<ObjectNode> found = search.select(wanted, now, HEALTHIEST_FIRST)
                .limit(wanted.limit() == null ? Integer.MAX_VALUE : wanted.limit())
                .map(AgentSummary::json)
                .toList();
        return new Discovered("success", query, found, found.size(), now, read.warnings());
    }

    /**
     * Whether an unknown status is queried. Clients of other implementations query statuses that exist only there, and expect an empty
     * list.
     */
    private static boolean asksForUnknownStatus(ObjectNode query) {
        JsonNode status = query.path("status");
        return status.isString() && !AgentStatus.isKnown(status.asString());
    }

    record AgentPage(
            @JsonProperty("status") String status,
            @JsonProperty("agents") List<ObjectNode> agents,
            @JsonProperty("count") int count,
            @JsonProperty("total") int total,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(summary = "List agents by id, with paging; `total` counts all pages")
    AgentPage list(
            @RequestParam(required = false) @Nullable AgentStatus status,
            @RequestParam(name = "agent_type", required = false) @Nullable String agentType,
            @RequestParam(name = "capability", required = false) @Nullable List<String> capabilities,
            @RequestParam(name = "service", required = false) @Nullable List<String> services,
            @RequestParam(name = "tag", required = false) @Nullable List<String> tags,
            @RequestParam(name = "min_health_score", required = false) @Nullable @Min(0) @Max(1) Double minHealthScore,
            @RequestParam(name = "chain_id", required = false) @Nullable String chainId,
            @RequestParam(name = "island_id", required = false) @Nullable String islandId,
            @RequestParam(defaultValue = "100") @Min(1) @Max(10_000) int limit,
            @RequestParam(defaultValue = "0") @Min(0) int offset) {
        Instant now = clock.instant();
        AgentQuery wanted;
        try {
            wanted = new AgentQuery(
                    status,
                    agentType,
                    orEmpty(capabilities),
                    orEmpty(services),
                    orEmpty(tags),
                    minHealthScore,
                    chainId,
                    islandId,
                    limit);
        } catch (IllegalArgumentException e) {
            throw Problems.unprocessable(e.getMessage());
        }
        List<AgentSummary> found = search.select(wanted, now, Comparator.comparing(AgentSummary::id))
                .toList();
        List<ObjectNode> page =
                found.stream().skip(offset).limit(limit).map(AgentSummary::json).toList();
        return new AgentPage("success", page, page.size(), found.size(), now);
    }

    record ServiceAgents(
            @JsonProperty("status") String status,
            @JsonProperty("service") String service,
            @JsonProperty("agents") List<ObjectNode> agents,
            @JsonProperty("count") int count,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/service/{service}")
    @Operation(summary = "List the agents that offer a service, healthiest first")
    ServiceAgents ofService(@PathVariable("service") String service) {
        Instant now = clock.instant();
        List<ObjectNode> agents = find(query(List.of(), List.of(service)), now);
        return new ServiceAgents("success", service, agents, agents.size(), now);
    }

    record CapabilityAgents(
            @JsonProperty("status") String status,
            @JsonProperty("capability") String capability,
            @JsonProperty("agents") List<ObjectNode> agents,
            @JsonProperty("count") int count,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/capability/{capability}")
    @Operation(summary = "List the agents that have a capability, healthiest first")
    CapabilityAgents ofCapability(@PathVariable("capability") String capability) {
        Instant now = clock.instant();
        List<ObjectNode> agents = find(query(List.of(capability), List.of()), now);
        return new CapabilityAgents("success", capability, agents, agents.size(), now);
    }

    private static AgentQuery query(List<String> capabilities, List<String> services) {
        try {
            return new AgentQuery(null, null, capabilities, services, List.of(), null, null, null, null);
        } catch (IllegalArgumentException e) {
            throw Problems.unprocessable(e.getMessage());
        }
    }

    private List<ObjectNode> find(AgentQuery query, Instant now) {
        return search.select(query, now, HEALTHIEST_FIRST)
                .map(AgentSummary::json)
                .toList();
    }

    private static List<String> orEmpty(@Nullable List<String> texts) {
        return texts == null ? List.of() : texts;
    }
}

package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.LaneStats;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.stats.ClusterStats;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

@RestController
@RequestMapping({"", "/v1"})
@Tag(name = "cluster", description = "Load balancing, registry statistics and coordinators")
class ClusterController {
    private final ClusterControl control;
    private final ClusterStats clusterStats;
    private final LaneStatsReporter report;
    private final Clock clock;

    ClusterController(ClusterControl control, ClusterStats clusterStats, LaneStatsReporter report, Clock clock) {
        this.control = control;
        this.clusterStats = clusterStats;
        this.report = report;
        this.clock = clock;
    }

    record BalanceStats(
            @JsonProperty("status") String status,
            @JsonProperty("stats") ClusterStats.Balance stats,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/load-balancer/stats")
    @Operation(summary = "Get the load-balancing strategy and its statistics")
    BalanceStats balance() {
        return new BalanceStats("success", clusterStats.balance(), clock.instant());
    }

    record Switch(@JsonProperty("strategy") @Nullable String strategy) {}

    record Switched(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("strategy") String strategy,
            @JsonProperty("updated_at") Instant updatedAt) {}

    @PutMapping("/load-balancer/strategy")
    @Operation(summary = "Switch the load-balancing strategy of the cluster, by body or query parameter")
    Switched switchStrategy(
            @RequestBody(required = false) @Nullable Switch body,
            @RequestParam(name = "strategy", required = false) @Nullable String parameter)
            throws InterruptedException {
        String name = body != null && body.strategy() != null ? body.strategy() : parameter;
        if (name == null) {
            throw new ResponseStatusException(HttpStatus.BAD_REQUEST, "strategy is required");
        }
        LoadBalancingStrategy strategy = known(name);
        AuditNote.current().put("strategy", strategy.wireName());
        control.switchStrategy(strategy);
        return new Switched(
                "success",
                "Load-balancing strategy is now " + strategy.wireName(),
                strategy.wireName(),
                clock.instant());
    }

    record RegistryStats(
            @JsonProperty("status") String status,
            @JsonProperty("stats") ClusterStats.AgentCounts stats,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/registry/stats")
    @Operation(summary = "Count agents by status, type, service and capability")
    RegistryStats registry() {
        return new RegistryStats("success", clusterStats.agents(), clock.instant());
    }

    record Coordinators(
            @JsonProperty("status") String status,
            @JsonProperty("coordinators") Map<String, LaneStats> coordinators,
            @JsonProperty("count") int count,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping("/coordinators")
    @Operation(summary = "List the running coordinators and their load")
    Coordinators coordinators() {
        Map<String, LaneStats> all = report.all();
        all.replaceAll((id, stats) -> stats.withoutDetails());
        return new Coordinators("success", all, all.size(), clock.instant());
    }

    private static LoadBalancingStrategy known(String name) {
        try {
            return LoadBalancingStrategy.parse(name);
        } catch (IllegalArgumentException e) {
            throw new ResponseStatusException(HttpStatus.BAD_REQUEST, e.getMessage());
        }
    }
}

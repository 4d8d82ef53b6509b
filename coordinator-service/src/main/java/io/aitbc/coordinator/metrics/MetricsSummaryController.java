package io.aitbc.coordinator.metrics;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.sun.management.OperatingSystemMXBean;
import io.aitbc.coordinator.stats.ClusterStats;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.lang.management.ManagementFactory;
import java.time.Clock;
import java.time.Instant;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Metrics as JSON, in the format of the AITBC coordinator. Monitoring systems should read {@code /metrics}. */
@RestController
@Tag(name = "service", description = "Health, metrics and endpoints of this coordinator")
class MetricsSummaryController {
    private final RequestTimes requests;
    private final ClusterStats stats;
    private final Clock clock;
    private final OperatingSystemMXBean machine = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

    MetricsSummaryController(RequestTimes requests, ClusterStats stats, Clock clock) {
        this.requests = requests;
        this.stats = stats;
        this.clock = clock;
    }

    /**
     * Requests served by this coordinator since it started; times in seconds.
     *
     * @param errorRate share of responses with status 400 or above
     */
    record Performance(
            @JsonProperty("avg_response_time") double avgResponseTime,
            @JsonProperty("p95_response_time") double p95ResponseTime,
            @JsonProperty("p99_response_time") double p99ResponseTime,
            @JsonProperty("error_rate") double errorRate,
            @JsonProperty("total_requests") long totalRequests,
            @JsonProperty("total_errors") long totalErrors,
            @JsonProperty("uptime_seconds") double uptimeSeconds) {}

    /** @param totalTasks assignments so far, in the whole cluster */
    record Cluster(
            @JsonProperty("total_agents") int totalAgents,
            @JsonProperty("active_agents") long activeAgents,
            @JsonProperty("total_tasks") long totalTasks,
            @JsonProperty("load_balancer_strategy") String strategy) {}

    record Summary(
            @JsonProperty("status") String status,
            @JsonProperty("performance") Performance performance,
            @JsonProperty("system") Cluster system,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping({"/metrics/summary", "/v1/metrics/summary"})
    @Operation(summary = "Get request times of this coordinator and sizes of the cluster, as JSON")
    Summary summary() {
        ClusterStats.AgentCounts agents = stats.agents();
        ClusterStats.Balance balance = stats.balance();
        long total = requests.total();
        return new Summary(
                "success",
                new Performance(
                        requests.meanSeconds(),
                        requests.seconds(0.95),
                        requests.seconds(0.99),
                        total == 0 ? 0 : (double) requests.errors() / total,
                        total,
                        requests.errors(),
                        uptimeSeconds()),
                new Cluster(agents.total(), agents.active(), balance.total(), balance.strategy()),
                clock.instant());
    }

    /** In bytes and percent. */
    record Memory(
            @JsonProperty("total") long total,
            @JsonProperty("available") long available,
            @JsonProperty("used") long used,
            @JsonProperty("percentage") double percentage) {}

    record Cpu(
            @JsonProperty("percentage") double percentage,
            @JsonProperty("count") int count) {}

    record Machine(
            @JsonProperty("memory") Memory memory,
            @JsonProperty("cpu") Cpu cpu,
            @JsonProperty("uptime") double uptime,
            @JsonProperty("timestamp") Instant timestamp) {}

    record MachineHealth(
            @JsonProperty("status") String status,
            @JsonProperty("health") Machine health) {}

    @GetMapping({"/metrics/health", "/v1/metrics/health"})
    @Operation(summary = "Get memory and CPU usage of this coordinator's machine")
    MachineHealth health() {
        long total = machine.getTotalMemorySize();
        long available = machine.getFreeMemorySize();
        return new MachineHealth(
                "success",
                new Machine(
                        new Memory(
                                total, available, total - available, percentage((double) (total - available) / total)),
                        // Negative if it is unknown, as in the first moments.
                        new Cpu(percentage(Math.max(0, machine.getCpuLoad())), machine.getAvailableProcessors()),
                        uptimeSeconds(),
                        clock.instant()));
    }

    private static double uptimeSeconds() {
        return ManagementFactory.getRuntimeMXBean().getUptime() / 1_000.0;
    }

    private static double percentage(double share) {
        return Math.round(1_000 * share) / 10.0;
    }
}

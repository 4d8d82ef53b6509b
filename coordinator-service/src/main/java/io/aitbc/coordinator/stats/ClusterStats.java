package io.aitbc.coordinator.stats;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.LaneStats;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.match.BlockedGroup;
import io.aitbc.coordinator.match.WaitingKey;
import io.aitbc.coordinator.match.WaitingLimit;
import io.aitbc.coordinator.queue.OpenTransactions;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.coordinator.registry.Registry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Cluster-wide statistics in the format of the REST API. */
@Component
public final class ClusterStats {
    private final Redis redis;
    private final Registry registry;
    private final AgentView view;
    private final QueueSizes sizes;
    private final ClusterControl control;
    private final LaneStatsReporter report;
    private final OpenTransactions transactions;
    private final Topics topics;
    private final Clock clock;
    private final RecentCounts recent = new RecentCounts();

    ClusterStats(
            Redis redis,
            Registry registry,
            AgentView view,
            QueueSizes sizes,
            ClusterControl control,
            LaneStatsReporter report,
            OpenTransactions transactions,
            Topics topics,
            Clock clock) {
        this.redis = redis;
        this.registry = registry;
        this.view = view;
        this.sizes = sizes;
        this.control = control;
        this.report = report;
        this.transactions = transactions;
        this.topics = topics;
        this.clock = clock;
    }

    /**
     * @param avgDistributionTime seconds from acceptance to assignment, the mean of the last five minutes; 0 if nothing was assigned
     */
    public record Tasks(
            @JsonProperty("tasks_distributed") long distributed,
            @JsonProperty("tasks_completed") long completed,
            @JsonProperty("tasks_failed") long failed,
            @JsonProperty("tasks_cancelled") long cancelled,
            @JsonProperty("tasks_expired") long expired,
            @JsonProperty("tasks_retried") long retried,
            @JsonProperty("tasks_redriven") long redriven,
            @JsonProperty("late_results") long lateResults,
            @JsonProperty("avg_distribution_time") double avgDistributionTime,
            @JsonProperty("load_balancer_stats") Balance balance,

            @JsonProperty("queue_sizes") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Map<Priority, @Nullable Long> queueSizes) {}

    /**
     * @param strategies the names of all strategies
     * @param successful assignments that ended as completed
     * @param failed assignments that ended in any other way
     * @param successRate share of ended assignments, 0.0 to 1.0; 0 while none has ended
     * @param recentSuccessRate the same for the last five minutes; null if none ended
     * @param agentWeights number of active agents; {@code weightsByAgent} has their weights
     * @param avgAgentLoad mean number of tasks held by an active agent
     * @param avgCapacityUsed mean share of capacity in use over active agents, 0.0 to 1.0
     */
    public record Balance(
            @JsonProperty("strategy") String strategy,
            @JsonProperty("strategies") List<String> strategies,
            @JsonProperty("total_assignments") long total,
            @JsonProperty("successful_assignments") long successful,
            @JsonProperty("failed_assignments") long failed,
            @JsonProperty("success_rate") double successRate,
            @JsonProperty("recent_success_rate") @Nullable Double recentSuccessRate,
            @JsonProperty("active_agents") int activeAgents,
            @JsonProperty("agent_weights") int agentWeights,
            @JsonProperty("weights_by_agent") Map<String, Double> weightsByAgent,
            @JsonProperty("avg_agent_load") double avgAgentLoad,
            @JsonProperty("avg_capacity_used") double avgCapacityUsed) {}

    /**
     * @param size null while its topic is missing
     * @param oldestAgeSeconds age of the longest waiting task that a coordinator has read; null if there is none
     * @param scheduled how many tasks wait for a time in the future
     * @param heldBack how many records are blocked by an open transaction
     * @param heldBackBy the producer of that transaction; null if there is none
     */
    public record Queue(
            @JsonProperty("size") @Nullable Long size,
            @JsonProperty("oldest_age_seconds") @Nullable Double oldestAgeSeconds,
            @JsonProperty("received_per_second") double receivedPerSecond,
            @JsonProperty("assigned_per_second") double assignedPerSecond,
            @JsonProperty("scheduled") long scheduled,
            @JsonProperty("held_back") long heldBack,
            @JsonProperty("held_back_by") @Nullable String heldBackBy) {}

    /** @param unknownHeartbeats number of heartbeats ignored because their agents were not registered */
    public record AgentCounts(
            @JsonProperty("total_agents") int total,
            @JsonProperty("active_agents") long active,
            @JsonProperty("status_counts") Map<String, Long> statusCounts,
            @JsonProperty("type_counts") Map<String, Long> typeCounts,
            @JsonProperty("service_count") int serviceCount,
            @JsonProperty("capability_count") int capabilityCount,
            @JsonProperty("services") Map<String, Long> services,
            @JsonProperty("capabilities") Map<String, Long> capabilities,
            @JsonProperty("unknown_heartbeats") long unknownHeartbeats) {}

    public Tasks tasks(boolean withQueueSizes) throws InterruptedException {
        Map<String, String> counted = redis.sync().hgetall(Keys.TASK_STATS);
        Map<String, Long> grown = recently(counted);
        return new Tasks(
                count(counted, "distributed"),
                count(counted, "completed"),
                count(counted, "failed"),
                count(counted, "cancelled"),
                count(counted, "expired"),
                count(counted, "retried"),
                count(counted, "redriven"),
                count(counted, "late_results"),
                grown.getOrDefault("distributed", 0L) == 0
                        ? 0
                        : grown.getOrDefault("distribution_ms", 0L) / 1_000.0 / grown.getOrDefault("distributed", 0L),
                balance(counted, grown),
                withQueueSizes ? sizes.read() : null);
    }

    public Balance balance() {
        Map<String, String> counted = redis.sync().hgetall(Keys.TASK_STATS);
        return balance(counted, recently(counted));
    }

    public Map<Priority, @Nullable Long> queueSizes() throws InterruptedException {
        return sizes.read();
    }

    public Map<Priority, Queue> queues(Map<Priority, @Nullable Long> queueSizes, Instant now) {
        Collection<LaneStats> lanes = report.all().values();
        Map<Priority, Queue> queues = new EnumMap<>(Priority.class);
        queueSizes.forEach((priority, size) -> {
            List<OpenTransactions.OpenTransaction> open = transactions.of(topics.tasks(priority));
            queues.put(
                    priority,
                    new Queue(
                            size,
                            size == null || size == 0 ? null : oldestAge(lanes, open, priority, now),
                            sum(lanes, priority, LaneStats::receivedPerSecond),
                            sum(lanes, priority, LaneStats::assignedPerSecond),
                            lanes.stream()
                                    .mapToLong(lane -> lane.scheduled().getOrDefault(priority, 0))
                                    .sum(),
                            open.stream()
                                    .mapToLong(OpenTransactions.OpenTransaction::heldBack)
                                    .sum(),
                            open.isEmpty() ? null : open.get(0).producer()));
        });
        return queues;
    }

    public AgentCounts agents() {
        List<Agent> all = registry.all();
        Map<String, Long> byStatus = counts(all, agent -> List.of(agent.status().wireName()));
        Map<String, Long> services = counts(all, agent -> agent.registration().services());
        Map<String, Long> capabilities =
                counts(all, agent -> agent.registration().capabilities());
        return new AgentCounts(
                all.size(),
                byStatus.getOrDefault("active", 0L),
                byStatus,
                counts(all, agent -> List.of(agent.registration().agentType())),
                services.size(),
                capabilities.size(),
                services,
                capabilities,
                registry.unknownHeartbeats());
    }

    /** The largest groups of waiting tasks that lack a free agent, in all coordinators, those with the most tasks first. */
    public List<BlockedGroup> blocked() {
        Map<Requirements, BlockedGroup> groups = new HashMap<>();
        report.all().values().stream()
                .flatMap(lane -> lane.blockedGroups().stream())
                .forEach(group -> groups.merge(group.requirements(), group, ClusterStats::sum));
        return groups.values().stream()
                .sorted(Comparator.comparingInt(BlockedGroup::tasks).reversed().thenComparing(BlockedGroup::oldest))
                .toList();
    }

    /** The fairness keys with the most waiting tasks, in all coordinators; empty if no task has one. */
    public List<WaitingKey> waitingKeys() {
        Map<String, WaitingKey> keys = new HashMap<>();
        report.all().values().stream()
                .flatMap(lane -> lane.waitingKeys().stream())
                .forEach(one -> keys.merge(one.key(), one, WaitingKey::sum));
        return keys.values().stream()
                .sorted(Comparator.comparingInt(WaitingKey::tasks).reversed().thenComparing(WaitingKey::key))
                .toList();
    }

    /** Whether no coordinator has more keys than it reports. */
    public boolean areWaitingKeysComplete() {
        return report.all().values().stream()
                .noneMatch(lane -> lane.waitingKeys().size() >= LaneStats.MAX_KEYS);
    }

    /** The limits that keep most tasks back, in all coordinators, by name. */
    public Map<String, WaitingLimit> waitingLimits() {
        Map<String, WaitingLimit> limits = new HashMap<>();
        report.all().values().stream()
                .flatMap(lane -> lane.waitingLimits().stream())
                .forEach(one -> limits.merge(one.name(), one, WaitingLimit::sum));
        return limits;
    }

    private static BlockedGroup sum(BlockedGroup a, BlockedGroup b) {
        return new BlockedGroup(
                a.requirements(), a.tasks() + b.tasks(), a.oldest().isBefore(b.oldest()) ? a.oldest() : b.oldest());
    }

    /** How many tasks agents hold, also those that are drained. Reads all agents. */
    public long running() {
        return registry.all().stream().mapToLong(Agent::inflight).sum();
    }

    private Map<String, Long> recently(Map<String, String> counted) {
        Map<String, Long> counts = new HashMap<>();
        for (String name : List.of("distributed", "distribution_ms", "completed", "failed_attempts")) {
            counts.put(name, count(counted, name));
        }
        return recent.growth(counts, clock.instant());
    }

    private Balance balance(Map<String, String> counted, Map<String, Long> grown) {
        Collection<Agent> active = view.active();
        long successful = count(counted, "completed");
        long failed = count(counted, "failed_attempts");
        return new Balance(
                control.strategy().wireName(),
                Arrays.stream(LoadBalancingStrategy.values())
                        .map(LoadBalancingStrategy::wireName)
                        .toList(),
                count(counted, "distributed"),
                successful,
                failed,
                successful + failed == 0 ? 0 : (double) successful / (successful + failed),
                grown.getOrDefault("completed", 0L) + grown.getOrDefault("failed_attempts", 0L) == 0
                        ? null
                        : (double) grown.getOrDefault("completed", 0L)
                                / (grown.getOrDefault("completed", 0L) + grown.getOrDefault("failed_attempts", 0L)),
                active.size(),
                active.size(),
                active.stream()
                        .collect(Collectors.toMap(
                                Agent::id, agent -> agent.registration().weight(), (a, b) -> a, TreeMap::new)),
                active.stream().mapToInt(Agent::inflight).average().orElse(0),
                active.stream()
                        .mapToDouble(agent -> (double) agent.inflight() / agent.capacity())
                        .average()
                        .orElse(0));
    }

    /** The age of the oldest task, including blocked records: the first one in a partition is its oldest. */
    private static @Nullable Double oldestAge(
            Collection<LaneStats> lanes, List<OpenTransactions.OpenTransaction> open, Priority priority, Instant now) {
        return Stream.concat(
                        lanes.stream().map(lane -> lane.oldest().get(priority)),
                        open.stream().map(OpenTransactions.OpenTransaction::since))
                .filter(Objects::nonNull)
                .min(Instant::compareTo)
                .map(oldest -> Math.max(0, Duration.between(oldest, now).toMillis()) / 1_000.0)
                .orElse(null);
    }

    private static double sum(
            Collection<LaneStats> lanes, Priority priority, Function<LaneStats, Map<Priority, Double>> rates) {
        double sum = lanes.stream()
                .mapToDouble(lane -> rates.apply(lane).getOrDefault(priority, 0.0))
                .sum();
        return Math.round(sum * 100) / 100.0;
    }

    private static Map<String, Long> counts(List<Agent> agents, Function<Agent, List<String>> names) {
        return agents.stream()
                .flatMap(agent -> names.apply(agent).stream().distinct())
                .collect(Collectors.groupingBy(Function.identity(), TreeMap::new, Collectors.counting()));
    }

    private static long count(Map<String, String> counted, String name) {
        return Redis.count(counted.get(name));
    }
}

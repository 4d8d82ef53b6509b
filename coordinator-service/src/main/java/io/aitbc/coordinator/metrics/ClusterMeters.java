package io.aitbc.coordinator.metrics;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.Coordinator;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.Dispatcher;
import io.aitbc.coordinator.dispatch.LaneStats;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.coordinator.stats.ClusterFeed;
import io.aitbc.coordinator.stats.ClusterStats;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.TimeGauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Metrics of the whole cluster, as of this coordinator's latest snapshot, and of its own lane. Unknown values are NaN. */
@Component
class ClusterMeters implements MeterBinder {
    private final ClusterFeed cluster;
    private final AgentView agents;
    private final ClusterControl control;
    private final Dispatcher dispatcher;
    private final SharedTopics topics;
    private final Topics names;
    private final Coordinator coordinator;

    ClusterMeters(
            ClusterFeed cluster,
            AgentView agents,
            ClusterControl control,
            Dispatcher dispatcher,
            SharedTopics topics,
            Topics names,
            Coordinator coordinator) {
        this.names = names;
        this.topics = topics;
        this.coordinator = coordinator;
        this.cluster = cluster;
        this.agents = agents;
        this.control = control;
        this.dispatcher = dispatcher;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        bindQueues(registry);
        bindTasks(registry);
        bindAgents(registry);
        bindLocal(registry);
    }

    private void bindQueues(MeterRegistry registry) {
        for (Priority priority : Priority.values()) {
            Gauge.builder(
                            "cluster.queue.size",
                            () -> queue(priority, queue -> orNaN(queue.stats().size())))
                    .description("Waiting tasks, which no agent holds")
                    .tag("priority", priority.wireName())
                    .register(registry);
            TimeGauge.builder(
                            "cluster.queue.oldest",
                            () -> queue(priority, queue -> orZero(queue.stats().oldestAgeSeconds())),
                            TimeUnit.SECONDS)
                    .description("Age of the longest-waiting task that a coordinator has read; 0 if none waits")
                    .tag("priority", priority.wireName())
                    .register(registry);
            Gauge.builder("cluster.queue.paused", () -> queue(priority, queue -> queue.paused() ? 1 : 0))
                    .description("1 while the queue is paused")
                    .tag("priority", priority.wireName())
                    .register(registry);
        }
    }

    private void bindTasks(MeterRegistry registry) {
        Map<String, ToLongFunction<ClusterStats.Tasks>> events = Map.of(
                "distributed", ClusterStats.Tasks::distributed,
                "completed", ClusterStats.Tasks::completed,
                // Includes redriven tasks, so that the counter never decreases.
                "failed", tasks -> tasks.failed() + tasks.redriven(),
                "cancelled", ClusterStats.Tasks::cancelled,
                "expired", ClusterStats.Tasks::expired,
                "retried", ClusterStats.Tasks::retried);
        events.forEach((event, count) -> FunctionCounter.builder("cluster.tasks", cluster, now -> counted(count))
                .description("Task events; a retried task is distributed again")
                .tag("event", event)
                .register(registry));
        Gauge.builder(
                        "cluster.load.balancer.success.ratio",
                        () -> tasks(tasks -> tasks.balance().successRate()))
                .description("Share of ended attempts that completed, 0 to 1")
                .register(registry);
        for (LoadBalancingStrategy strategy : LoadBalancingStrategy.values()) {
            Gauge.builder("cluster.load.balancer.strategy", () -> control.strategy() == strategy ? 1 : 0)
                    .description("1 for the strategy in use, 0 for the others")
                    .tag("strategy", strategy.wireName())
                    .register(registry);
        }
        Gauge.builder("cluster.partitions.unowned", this::unownedPartitions)
                .description("Task partitions that no coordinator owns; their tasks wait")
                .register(registry);
        Gauge.builder("cluster.coordinators", () -> {
                    ClusterFeed.Snapshot snapshot = cluster.newest();
                    return snapshot == null
                            ? Double.NaN
                            : snapshot.coordinators().size();
                })
                .description("Live coordinators")
                .register(registry);
    }

    private void bindAgents(MeterRegistry registry) {
        Gauge.builder("cluster.agents.active", () -> agents(Collection::size))
                .description("Agents whose status is active")
                .register(registry);
        for (Load load : Load.values()) {
            Gauge.builder(
                            "cluster.agents.load",
                            () -> agents(active -> active.stream()
                                    .filter(agent -> Load.of(agent) == load)
                                    .count()))
                    .description("Active agents by share of capacity in use")
                    .tag("load", load.label)
                    .register(registry);
        }
        Gauge.builder(
                        "cluster.agents.load.mean.ratio",
                        () -> agents(active -> active.stream()
                                .mapToDouble(Load::share)
                                .average()
                                .orElse(0)))
                .description("Mean share of capacity in use over active agents, 0 to 1")
                .register(registry);
    }

    private void bindLocal(MeterRegistry registry) {
        Gauge.builder("coordinator.partitions", () -> dispatcher.stats().partitions())
                .description("Task partitions owned by this coordinator")
                .register(registry);
        Gauge.builder("coordinator.lane.waiting", () -> dispatcher.stats().waiting())
                .description("Waiting tasks that this coordinator has read")
                .register(registry);
        Gauge.builder("coordinator.backlog.full", () -> dispatcher.stats().backlogFull() ? 1 : 0)
                .description("1 while this coordinator has no memory for more waiting tasks and reads no further")
                .register(registry);
        Gauge.builder("coordinator.dispatching", () -> dispatcher.isRunning() ? 1 : 0)
                .description("1 while dispatching, 0 during startup and restarts after an error")
                .register(registry);
        Gauge.builder("coordinator.kafka.up", () -> known(cluster.kafkaAnswers()))
                .description("1 if Kafka accepted and returned a record at this coordinator's last check")
                .register(registry);
        Gauge.builder(
                        "coordinator.topics.missing",
                        () -> topics.missing().size()
                                + topics.leaderless().stream()
                                        .map(TopicPartition::topic)
                                        .distinct()
                                        .count())
                .description("Shared topics that are missing or have a partition without a leader")
                .register(registry);
        Gauge.builder(
                        "coordinator.threads.failing",
                        () -> coordinator.problems().size())
                .description("Threads of this coordinator that have ended, keep failing or are stuck")
                .register(registry);
        Gauge.builder("coordinator.redis.up", () -> known(cluster.redisAnswers()))
                .description("1 if Redis accepted a write at this coordinator's last check")
                .register(registry);
    }

    private double unownedPartitions() {
        ClusterFeed.Snapshot snapshot = cluster.newest();
        int owned = snapshot == null
                ? 0
                : snapshot.coordinators().values().stream()
                        .mapToInt(LaneStats::partitions)
                        .sum();
        return snapshot == null ? Double.NaN : Math.max(0, topics.partitions(names.tasks()) - owned);
    }

    private double queue(Priority priority, ToDoubleFunction<ClusterFeed.Queue> figure) {
        ClusterFeed.Snapshot snapshot = cluster.newest();
        return snapshot == null
                ? Double.NaN
                : figure.applyAsDouble(snapshot.queues().get(priority));
    }

    private double tasks(ToDoubleFunction<ClusterStats.Tasks> figure) {
        ClusterFeed.Snapshot snapshot = cluster.newest();
        return snapshot == null ? Double.NaN : figure.applyAsDouble(snapshot.tasks());
    }

    private static double known(@Nullable Boolean answers) {
        if (answers == null) {
            return Double.NaN;
        }
        return answers ? 1 : 0;
    }

    /** A figure of the active agents; NaN if they are outdated. */
    private double agents(ToDoubleFunction<Collection<Agent>> figure) {
        return cluster.newest() == null ? Double.NaN : figure.applyAsDouble(agents.active());
    }

    /** A counter; keeps its last value while the current one is unknown. */
    private double counted(ToLongFunction<ClusterStats.Tasks> count) {
        ClusterFeed.Snapshot last = cluster.last();
        return last == null ? 0 : Math.max(0, count.applyAsLong(last.tasks()));
    }

    private static double orNaN(@Nullable Long value) {
        return value == null ? Double.NaN : value;
    }

    private static double orZero(@Nullable Double value) {
        return value == null ? 0 : value;
    }

    private enum Load {
        IDLE("none"),
        LIGHT("below half"),
        HEAVY("half or more"),
        FULL("full");

        private final String label;

        Load(String label) {
            this.label = label;
        }

        static double share(Agent agent) {
            return (double) agent.inflight() / agent.capacity();
        }

        static Load of(Agent agent) {
            double share = share(agent);
            if (share == 0) {
                return IDLE;
            }
            return share < 0.5 ? LIGHT : share < 1 ? HEAVY : FULL;
        }
    }
}

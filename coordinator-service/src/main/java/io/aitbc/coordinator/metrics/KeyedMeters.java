package io.aitbc.coordinator.metrics;

import io.aitbc.contracts.Limit;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.match.WaitingKey;
import io.aitbc.coordinator.match.WaitingLimit;
import io.aitbc.coordinator.stats.ClusterStats;
import io.aitbc.coordinator.stats.FleetDemand;
import io.aitbc.coordinator.stats.LimitSamples;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.MultiGauge.Row;
import io.micrometer.core.instrument.Tags;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;

/** Metrics by limit, by fairness key and by kind of agent, as of the last seconds. Their number is bounded: the most important ones are kept. */
@Component
final class KeyedMeters implements SmartLifecycle {
    private static final Duration INTERVAL = Duration.ofSeconds(5);
    private static final int MAX_KEYS = 20;
    /** It reads all agents. */
    private static final int DEMAND_EVERY = 3;

    private static final int MAX_FLEETS = 50;

    private final GaugeRows rows;
    private final ClusterStats stats;
    private final LimitSamples samples;
    private final FleetDemand demand;
    private final Clock clock;
    private final PeriodicJob job = new PeriodicJob("keyed-metrics", INTERVAL, this::update);
    private volatile boolean running;
    private int updates;

    private final MultiGauge limitUsed;
    private final MultiGauge limitShare;
    private final MultiGauge budgetSpent;
    private final MultiGauge limitWaiting;
    private final MultiGauge limitOldest;
    private final MultiGauge keyWaiting;
    private final MultiGauge keyOldest;
    private final MultiGauge agentsWanted;
    private final MultiGauge agentsActive;
    private final MultiGauge unserved;

    KeyedMeters(
            MeterRegistry registry,
            GaugeRows rows,
            ClusterStats stats,
            LimitSamples samples,
            FleetDemand demand,
            Clock clock) {
        this.rows = rows;
        this.stats = stats;
        this.samples = samples;
        this.demand = demand;
        this.clock = clock;
        this.limitUsed = gauge(registry, "cluster.limit.used", "Units of a limit that live attempts hold");
        this.limitShare =
                gauge(registry, "cluster.limit.used.ratio", "Share of its concurrency that live attempts hold");
        this.budgetSpent =
                gauge(registry, "cluster.limit.budget.spent.ratio", "Share of a budget that is spent in its period");
        this.limitWaiting = gauge(registry, "cluster.limit.waiting", "Tasks that a limit keeps back");
        this.limitOldest = gauge(
                registry, "cluster.limit.oldest.seconds", "Age of the longest-waiting task that a limit keeps back");
        this.keyWaiting =
                gauge(registry, "cluster.fairness.key.waiting", "Waiting tasks of a fairness key that are due");
        this.keyOldest = gauge(
                registry, "cluster.fairness.key.oldest.seconds", "Age of the longest-waiting task of a fairness key");
        this.agentsWanted = gauge(
                registry,
                "cluster.demand.agents",
                "Agents of a kind that would hold what runs and what waits for them");
        this.agentsActive = gauge(registry, "cluster.demand.agents.active", "Active agents of a kind");
        this.unserved = gauge(registry, "cluster.demand.unserved", "Waiting tasks that no active agent could take");
    }

    private static MultiGauge gauge(MeterRegistry registry, String name, String description) {
        return MultiGauge.builder(name).description(description).register(registry);
    }

    @Override
    public void start() {
        running = true;
        job.start();
    }

    @Override
    public void stop() {
        running = false;
        job.close();
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    private void update() {
        Instant now = clock.instant();
        updateLimits(now);
        updateKeys(now);
        if (updates++ % DEMAND_EVERY == 0) {
            updateDemand();
        }
    }

    private void updateLimits(Instant now) {
        List<Row<?>> used = new ArrayList<>();
        List<Row<?>> share = new ArrayList<>();
        List<Row<?>> spent = new ArrayList<>();
        List<Row<?>> waits = new ArrayList<>();
        List<Row<?>> oldest = new ArrayList<>();
        samples.take(now).forEach((name, use) -> {
            Tags tags = Tags.of("limit", name);
            Limit limit = use.limit();
            used.add(Row.of(tags, use.state().used()));
            if (limit.concurrency() != null && limit.concurrency() > 0) {
                share.add(Row.of(tags, (double) use.state().used() / limit.concurrency()));
            }
            if (limit.budget() != null) {
                spent.add(Row.of(
                        tags,
                        (double) use.state().spent(limit.budget(), now)
                                / limit.budget().units()));
            }
            WaitingLimit waiting = use.waiting();
            waits.add(Row.of(tags, waiting == null ? 0 : waiting.tasks()));
            oldest.add(Row.of(tags, waiting == null ? 0 : age(waiting.oldest(), now)));
        });
        rows.replace(Map.of(
                limitUsed, used, limitShare, share, budgetSpent, spent, limitWaiting, waits, limitOldest, oldest));
    }

    private void updateKeys(Instant now) {
        List<Row<?>> waiting = new ArrayList<>();
        List<Row<?>> oldest = new ArrayList<>();
        // Those that wait longest, among those with the most tasks.
        stats.waitingKeys().stream()
                .sorted(Comparator.comparing(WaitingKey::oldest))
                .limit(MAX_KEYS)
                .forEach(key -> {
                    Tags tags = Tags.of("fairness_key", key.key());
                    waiting.add(Row.of(tags, key.tasks()));
                    oldest.add(Row.of(tags, age(key.oldest(), now)));
                });
        rows.replace(Map.of(keyWaiting, waiting, keyOldest, oldest));
    }

    private void updateDemand() {
        FleetDemand.Demand read = demand.read();
        List<Row<?>> wanted = new ArrayList<>();
        List<Row<?>> active = new ArrayList<>();
        read.fleets().stream()
                .sorted(Comparator.comparingInt(FleetDemand.Fleet::agentsWanted).reversed())
                .limit(MAX_FLEETS)
                .forEach(fleet -> {
                    Tags tags = Tags.of(
                            "agent_type", fleet.agentType(), "capabilities", String.join(",", fleet.capabilities()));
                    wanted.add(Row.of(tags, fleet.agentsWanted()));
                    active.add(Row.of(tags, fleet.agents()));
                });
        int tasks = read.unserved().stream().mapToInt(group -> group.tasks()).sum();
        rows.replace(
                Map.of(agentsWanted, wanted, agentsActive, active, unserved, List.of(Row.of(Tags.empty(), tasks))));
    }

    private static double age(Instant since, Instant now) {
        return Math.max(0, Duration.between(since, now).toMillis()) / 1_000.0;
    }
}

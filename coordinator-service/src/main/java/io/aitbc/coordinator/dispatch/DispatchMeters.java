package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.assign.Verdict;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/** Metrics of this coordinator's lane. Owned by its thread. */
final class DispatchMeters {
    private static final Duration[] BOUNDS = {
        Duration.ofMillis(10),
        Duration.ofMillis(25),
        Duration.ofMillis(50),
        Duration.ofMillis(100),
        Duration.ofMillis(250),
        Duration.ofMillis(500),
        Duration.ofSeconds(1),
        Duration.ofSeconds(5),
        Duration.ofSeconds(30),
        Duration.ofMinutes(2),
        Duration.ofMinutes(10)
    };

    private final Counter rounds;
    private final Counter gained;
    private final Counter lost;
    private final Map<Priority, Counter> received = new EnumMap<>(Priority.class);
    private final Map<Priority, Timer> distributed = new EnumMap<>(Priority.class);
    private final Rates receivedRates = new Rates();
    private final Rates assignedRates = new Rates();
    private final Map<Verdict.Ruling, Counter> rulings = new EnumMap<>(Verdict.Ruling.class);

    DispatchMeters(MeterRegistry registry) {
        rounds = Counter.builder("coordinator.rounds")
                .description("Rounds of the dispatch loop")
                .register(registry);
        gained = rebalance(registry, "gained");
        lost = rebalance(registry, "lost");
        for (Priority priority : Priority.values()) {
            received.put(
                    priority,
                    Counter.builder("coordinator.tasks.received")
                            .description("Tasks read from the queues")
                            .tag("priority", priority.wireName())
                            .register(registry));
            distributed.put(
                    priority,
                    Timer.builder("coordinator.task.distribution")
                            .description("Time from acceptance of a task to each of its assignments")
                            .tag("priority", priority.wireName())
                            .serviceLevelObjectives(BOUNDS)
                            .register(registry));
        }
        for (Verdict.Ruling ruling : Verdict.Ruling.values()) {
            rulings.put(
                    ruling,
                    Counter.builder("coordinator.reservations")
                            .description(
                                    "Outcomes of reservations: full and unavailable are refusals, duplicate and ended drop a record")
                            .tag("ruling", ruling.name().toLowerCase(Locale.ROOT))
                            .register(registry));
        }
    }

    private static Counter rebalance(MeterRegistry registry, String change) {
        return Counter.builder("coordinator.rebalanced.partitions")
                .description("Task partitions gained or lost by this coordinator in rebalances")
                .tag("change", change)
                .register(registry);
    }

    void round() {
        rounds.increment();
    }

    void gained(int partitions) {
        gained.increment(partitions);
    }

    void lost(int partitions) {
        lost.increment(partitions);
    }

    void received(Priority priority, int tasks) {
        Objects.requireNonNull(received.get(priority)).increment(tasks);
        receivedRates.count(priority, tasks);
    }

    List<Verdict> countRulings(List<Verdict> verdicts) {
        for (Verdict verdict : verdicts) {
            Objects.requireNonNull(rulings.get(verdict.ruling())).increment();
        }
        return verdicts;
    }

    void assigned(Verdict granted) {
        Priority priority = granted.placement().waiting().position().priority();
        assignedRates.count(priority, 1);
        Objects.requireNonNull(distributed.get(priority))
                .record(Duration.between(granted.placement().waiting().waitingSince(), granted.assignedAt()));
    }

    /**
     * Tasks received per second.
     *
     * @param seconds since the last call
     */
    Map<Priority, Double> receivedPerSecond(double seconds) {
        return receivedRates.closeInterval(seconds);
    }

    /**
     * Tasks assigned per second.
     *
     * @param seconds since the last call
     */
    Map<Priority, Double> assignedPerSecond(double seconds) {
        return assignedRates.closeInterval(seconds);
    }
}

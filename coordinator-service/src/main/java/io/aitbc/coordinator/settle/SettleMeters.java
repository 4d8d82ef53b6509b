package io.aitbc.coordinator.settle;

import io.aitbc.contracts.TaskResult;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/** Counts the outcomes of the attempts that this coordinator ends. */
final class SettleMeters {
    private static final Duration[] BOUNDS = {
        Duration.ofMillis(10),
        Duration.ofMillis(100),
        Duration.ofSeconds(1),
        Duration.ofSeconds(10),
        Duration.ofMinutes(1),
        Duration.ofMinutes(10)
    };

    /** Upper bound for durations reported by agents, which may be arbitrary. */
    private static final Duration MAX_CREDIBLE = Duration.ofDays(30);

    private final Counter completed;
    private final Counter late;
    private final Counter unknown;
    private final Counter retries;
    private final Map<RetryDecision.FailureReason, Counter> failed = new EnumMap<>(RetryDecision.FailureReason.class);
    private final Timer execution;

    SettleMeters(MeterRegistry registry) {
        completed = ended(registry, "completed");
        for (RetryDecision.FailureReason failureReason : RetryDecision.FailureReason.values()) {
            failed.put(failureReason, ended(registry, failureReason.name().toLowerCase(Locale.ROOT)));
        }
        late = Counter.builder("coordinator.late.results")
                .description("Results ignored because their attempt was no longer live")
                .register(registry);
        unknown = Counter.builder("coordinator.unknown.results")
                .description("Results ignored because their task was unknown")
                .register(registry);
        retries = Counter.builder("coordinator.retries")
                .description("Tasks requeued for another attempt")
                .register(registry);
        execution = Timer.builder("coordinator.task.execution")
                .description("Execution time of completed attempts, as reported by agents")
                .serviceLevelObjectives(BOUNDS)
                .register(registry);
    }

    private static Counter ended(MeterRegistry registry, String failureReason) {
        return Counter.builder("coordinator.attempts.ended")
                .description("Ended attempts, by outcome")
                .tag("ending", failureReason)
                .register(registry);
    }

    void settled(TaskResult result, Attempts.SettleOutcome settlement) {
        switch (settlement) {
            case COMPLETED, COMPLETED_AFTER_PROGRESS -> {
                completed.increment();
                if (result.startedAt() != null && result.finishedAt() != null) {
                    Duration took = Duration.between(result.startedAt(), result.finishedAt());
                    if (!took.isNegative() && took.compareTo(MAX_CREDIBLE) <= 0) {
                        execution.record(took);
                    }
                }
            }
            case LATE -> late.increment();
            case UNKNOWN -> unknown.increment();
            case REPEATED, PROGRESSED, TO_REQUEUE -> {}
        }
    }

    void attemptEnded(RetryDecision.FailureReason failureReason, boolean requeued) {
        Objects.requireNonNull(failed.get(failureReason)).increment();
        if (requeued) {
            retries.increment();
        }
    }
}

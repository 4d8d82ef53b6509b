package io.aitbc.coordinator.queue;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** The ages of open transactions, one series per producer and topic. */
final class OpenTransactionMeters {
    private static final String UNKNOWN = "unknown";
    /** Limits the number of series: beyond that, more of them do not help to find the cause. */
    private static final int MAX_SERIES = 50;

    private final MultiGauge ages;
    private final Clock clock;
    private volatile Map<Cause, Instant> measured = Map.of();

    /** The labels of a series. */
    private record Cause(String topic, String producerId, String transactionalId) {
        static final Cause NONE = new Cause("", "", "");

        Tags tags() {
            return Tags.of("topic", topic, "producer_id", producerId, "transactional_id", transactionalId);
        }
    }

    OpenTransactionMeters(MeterRegistry meters, Clock clock) {
        this.clock = clock;
        this.ages = MultiGauge.builder("cluster.transaction.open")
                .description("Age of the open transaction that holds back records of a topic; 0 if there is none")
                .baseUnit("seconds")
                .register(meters);
        measure(List.of());
    }

    /**
     * Replaces the series. Existing rows are not registered again: a concurrent scrape would see duplicates and fail. So each row reads its
     * value from the last poll.
     */
    void measure(Collection<OpenTransactions.OpenTransaction> open) {
        Map<Cause, Instant> since = new HashMap<>();
        Instant now = clock.instant();
        open.forEach(one -> since.merge(
                new Cause(
                        one.partition().topic(),
                        Objects.toString(one.producerId(), UNKNOWN),
                        Objects.requireNonNullElse(one.transactionalId(), UNKNOWN)),
                one.since() == null ? now : one.since(),
                (a, b) -> a.isBefore(b) ? a : b));
        measured = Map.copyOf(since);
        List<MultiGauge.Row<?>> rows = new ArrayList<>();
        since.entrySet().stream()
                .sorted(Map.Entry.comparingByValue())
                .limit(MAX_SERIES)
                .map(Map.Entry::getKey)
                .forEach(cause -> rows.add(MultiGauge.Row.of(cause.tags(), () -> ageSeconds(cause))));
        if (rows.isEmpty()) {
            // Always present, so that an alert can tell "no open transaction" from a missing metric.
            rows.add(MultiGauge.Row.of(Cause.NONE.tags(), () -> ageSeconds(Cause.NONE)));
        }
        ages.register(rows, false);
    }

    private double ageSeconds(Cause cause) {
        Instant since = measured.get(cause);
        return since == null
                ? 0
                : Math.max(0, Duration.between(since, clock.instant()).toMillis()) / 1_000.0;
    }
}

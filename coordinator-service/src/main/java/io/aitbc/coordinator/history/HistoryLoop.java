package io.aitbc.coordinator.history;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Polls {@code tasks.events} and merges it into the tables. All coordinators share the partitions. */
public final class HistoryLoop implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(HistoryLoop.class);
    private static final int MAX_RECORDS = 1_000;
    private static final int MAX_FETCH_BYTES = 16 * 1024 * 1024;
    /** How often the database is asked for its generation, which also shows whether it answers. */
    private static final Duration CHECK_INTERVAL = Duration.ofSeconds(5);

    private static final Duration HANGS_AFTER = Duration.ofSeconds(5);
    /** With more events to write, figures would soon be deleted again. */
    private static final long MAX_LAG = 10_000;

    private static final Duration MAINTENANCE_INTERVAL = Duration.ofMinutes(1);

    private final @Nullable HistoryWriter writer;
    private final boolean eventsEnabled;
    private final Clock clock;
    private final ConsumerLoop loop;
    private final Counter lost;
    private final PeriodicJob maintenance;
    private final ThrottledWarning ignored =
            new ThrottledWarning(log, "{} records of tasks.events ignored in the history: {}");
    private final ThrottledWarning unavailable =
            new ThrottledWarning(log, "The history is not available ({} times): {}");
    /** When the database was asked last, and what it said last; used by the thread of the loop alone. */
    private Instant checked = Instant.EPOCH;

    private volatile @Nullable Long generation;
    /** Since when a batch is being written. */
    private volatile Instant writingSince = Instant.MAX;

    private volatile long lag;
    /** Why the last batch is not written. */
    private volatile @Nullable String failure;
    /** Why the database does not answer. */
    private volatile @Nullable String unreachable;

    @SuppressWarnings("NullAway.Init") // Set by the thread of the loop, which alone uses it.
    private Consumer<byte[], byte[]> consumer;

    /** @param writer null if no history is kept */
    HistoryLoop(
            @Nullable HistoryWriter writer,
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            MeterRegistry meters,
            boolean eventsEnabled,
            Clock clock) {
        this.writer = writer;
        this.clock = clock;
        this.loop = new ConsumerLoop(
                "history",
                new ConsumerLoop.Source(
                        () -> generation(shared.id(topics.events())),
                        () -> clients.groupConsumer(
                                group(topics),
                                Map.of(
                                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                                        MAX_RECORDS,
                                        ConsumerConfig.FETCH_MAX_BYTES_CONFIG,
                                        MAX_FETCH_BYTES)),
                        (made, gained) -> {
                            consumer = made;
                            made.subscribe(List.of(topics.events()), gained);
                        }),
                this::handle,
                () -> {});
        this.maintenance = new PeriodicJob("history-maintenance", MAINTENANCE_INTERVAL, this::maintain);
        this.lost = Counter.builder("coordinator.history.lost")
                .description("Events that the database of the history refused")
                .register(meters);
        this.eventsEnabled = eventsEnabled;
        Gauge.builder(
                        "coordinator.history.up",
                        () -> isOff() ? Double.NaN : failure().isEmpty() ? 1 : 0)
                .description("Whether the history is being written; NaN without one")
                .register(meters);
        Gauge.builder("coordinator.history.lag", () -> lag)
                .description("Events in the partitions of this coordinator that are not in the history yet")
                .register(meters);
    }

    private static String group(Topics topics) {
        return topics.prefix() + "agent-coordinator.history";
    }

    @Override
    public void start() {
        if (writer != null) {
            loop.start();
            maintenance.start();
        }
    }

    @Override
    public void close() {
        if (writer != null) {
            maintenance.close();
            loop.close();
        }
    }

    /** None: without its history, a coordinator does all its other work. See {@link #failure}. */
    @Override
    public List<Problem> problems() {
        return List.of();
    }

    public boolean isOff() {
        return writer == null;
    }

    /** Why nothing is written at present, as one sentence. */
    public Optional<String> failure() {
        if (!eventsEnabled && writer != null) {
            return Optional.of("AITBC_EVENTS_ENABLED is false");
        }
        if (writer != null && clock.instant().minus(HANGS_AFTER).isAfter(writingSince)) {
            return Optional.of("the database has not answered for more than " + HANGS_AFTER.toSeconds() + " s");
        }
        if (writer != null && generation == null && unreachable == null) {
            return Optional.of("the database has not answered yet");
        }
        return Optional.ofNullable(unreachable)
                .or(() -> Optional.ofNullable(failure))
                .or(() -> loop.problems().stream().map(Problem::sentence).findFirst());
    }

    private CompletableFuture<?> handle(ConsumerRecords<byte[], byte[]> records) {
        lag = records.count() + behind();
        List<TaskEvent> events = new ArrayList<>(records.count());
        for (ConsumerRecord<byte[], byte[]> record : records) {
            try {
                events.add(Json.read(record.value() == null ? new byte[0] : record.value(), TaskEvent.class));
            } catch (Json.MalformedMessageException e) {
                // From a later version, or not from a coordinator.
                ignored.add(record.partition() + "@" + record.offset() + " (" + e.getMessage() + ")");
            }
        }
        if (!events.isEmpty()) {
            try {
                writingSince = clock.instant();
                write(events, false);
                failure = null;
                unreachable = null;
            } catch (RuntimeException e) {
                failure = e.getMessage();
                throw e;
            } finally {
                writingSince = Instant.MAX;
            }
        }
        lag = behind();
        ignored.flush(clock.instant());
        return CompletableFuture.completedFuture(null);
    }

    /**
     * The id of the topic, mixed with that of the database's generation. Commits for another one do not count, so a new database is filled, and a rebuild
     * begins, at the beginning of the topic, on whichever coordinator has the partition.
     */
    private @Nullable Uuid generation(@Nullable Uuid topicId) {
        Instant now = clock.instant();
        if (!now.isBefore(checked.plus(CHECK_INTERVAL))) {
            checked = now;
            try {
                generation = Objects.requireNonNull(writer).generation();
                unreachable = null;
            } catch (RuntimeException e) {
                unreachable = e.getMessage();
                unavailable.add(String.valueOf(e.getMessage()));
                unavailable.flush(now);
            }
        }
        Long known = generation;
        return topicId == null || known == null
                ? null
                : new Uuid(topicId.getMostSignificantBits(), topicId.getLeastSignificantBits() ^ known);
    }

    /** An event that the database refuses, whatever the reason, is left out: it must not stop all that follow. */
    private void write(List<TaskEvent> events, boolean again) {
        try {
            Objects.requireNonNull(writer).write(events);
        } catch (HistoryDatabase.HistoryUnavailableException e) {
            if (!e.isAboutData()) {
                throw e;
            }
            if (events.size() == 1 && !again) {
                // The partition of its day may have been dropped since it was added.
                write(events, true);
                return;
            }
            if (events.size() == 1) {
                lost.increment();
                log.atError()
                        .addKeyValue("event", events.get(0).id())
                        .log("An event is left out of the history: {}", e.getMessage());
                return;
            }
            int half = events.size() / 2;
            write(events.subList(0, half), false);
            write(events.subList(half, events.size()), false);
        }
    }

    private long behind() {
        return consumer.assignment().stream()
                .mapToLong(partition -> consumer.currentLag(partition).orElse(0))
                .sum();
    }

    private void maintain() {
        HistoryWriter writer = Objects.requireNonNull(this.writer);
        if (!writer.isReady()) {
            return;
        }
        writer.addTomorrow();
        int dropped = writer.dropOldDays();
        if (dropped > 0) {
            log.info("Dropped {} days of history", dropped);
        }
        if (lag < MAX_LAG) {
            writer.rollUpFigures();
        }
    }
}

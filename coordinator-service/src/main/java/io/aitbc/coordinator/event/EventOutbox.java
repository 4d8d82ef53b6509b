package io.aitbc.coordinator.event;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.MapScanCursor;
import io.lettuce.core.RedisException;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanCursor;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * The outbox for events of steps that are not retried: a cancellation, a redrive, or the failure of a task whose record is gone. The script that performs
 * the step writes the event to a hash in Redis, see {@code notice.lua}; it is removed once Kafka has acknowledged it. If the caller dies in between, the
 * thread {@code event-outbox} of any coordinator publishes it. Thread-safe.
 */
public final class EventOutbox implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(EventOutbox.class);
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    /** Younger events are left to their callers, who are about to publish them. */
    private static final Duration GRACE = Duration.ofSeconds(5);

    private static final ScanArgs SCAN = ScanArgs.Builder.limit(500);
    private static final Duration WAIT = Duration.ofSeconds(2);
    private static final Duration LONG_WAIT = Duration.ofSeconds(20);

    private final Redis redis;
    private final TaskEvents events;
    private final Clock clock;
    private final PeriodicJob job = new PeriodicJob("event-outbox", INTERVAL, this::publishStale);

    EventOutbox(Redis redis, TaskEvents events, Clock clock) {
        this.redis = redis;
        this.events = events;
        this.clock = clock;
    }

    @Override
    public void start() {
        if (events.isEnabled()) {
            job.start();
        }
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return events.isEnabled() ? job.problems() : List.of();
    }

    /** The argument that tells a script whether to write events to the outbox. */
    public String noteFlag() {
        return events.isEnabled() ? "1" : "";
    }

    /**
     * Publishes events that a script has written to the outbox, and waits up to 2 s for Kafka. If it does not answer, they stay in the outbox and are
     * published later. Never fails because of Kafka or Redis.
     */
    public void publish(List<TaskEvent> noted) throws InterruptedException {
        if (!events.isEnabled()) {
            return;
        }
        try {
            TaskEvents.await(published(noted), WAIT);
        } catch (KafkaException | RedisException e) {
            log.atDebug().log("{} events are published later: {}", noted.size(), e.toString());
        }
    }

    private CompletableFuture<?> published(List<TaskEvent> noted) {
        if (noted.isEmpty()) {
            return CompletableFuture.completedFuture(null);
        }
        String[] ids = noted.stream().map(TaskEvent::id).toArray(String[]::new);
        return events.publish(noted)
                .thenCompose(
                        done -> redis.async().hdel(Keys.UNPUBLISHED_EVENTS, ids).toCompletableFuture());
    }

    private void publishStale() throws InterruptedException {
        Instant before = clock.instant().minus(GRACE);
        MapScanCursor<String, String> scan = scan(ScanCursor.INITIAL);
        while (true) {
            TaskEvents.await(
                    published(read(scan.getMap()).stream()
                            .filter(event -> event.time().isBefore(before))
                            .toList()),
                    LONG_WAIT);
            if (scan.isFinished()) {
                return;
            }
            scan = scan(scan);
        }
    }

    private MapScanCursor<String, String> scan(ScanCursor from) {
        return redis.readHashSync(Keys.UNPUBLISHED_EVENTS, read -> read.hscan(Keys.UNPUBLISHED_EVENTS, from, SCAN));
    }

    /** Quarantines entries that cannot be read. */
    private List<TaskEvent> read(Map<String, String> notes) {
        List<TaskEvent> read = new ArrayList<>();
        Map<String, String> unreadable = new HashMap<>();
        notes.forEach((id, note) -> {
            try {
                read.add(event(id, note));
            } catch (RuntimeException e) {
                unreadable.put(id, note);
            }
        });
        if (!unreadable.isEmpty()) {
            redis.quarantineFields(Keys.UNPUBLISHED_EVENTS, unreadable, Map.of());
        }
        return read;
    }

    /**
     * @param id of the event
     * @param note when it happened, in ms, and what the kind of event needs
     */
    static TaskEvent event(String id, String note) {
        String[] parts = id.split(":");
        String taskId = parts[0];
        int attempt = Integer.parseInt(parts[1]);
        int space = note.indexOf(' ');
        Instant time = Instant.ofEpochMilli(Long.parseLong(note.substring(0, space)));
        String more = note.substring(space + 1);
        return switch (parts[2]) {
            case "cancelled" -> TaskEvent.cancelled(taskId, attempt, more.isEmpty() ? null : more, time);
            case "redriven" -> TaskEvent.redriven(taskId, attempt, Priority.parse(more), time);
            case "failed" -> TaskEvent.recordLost(taskId, attempt, Json.read(more, JsonNode.class), time);
            default -> throw new IllegalArgumentException("unexpected event " + id);
        };
    }
}

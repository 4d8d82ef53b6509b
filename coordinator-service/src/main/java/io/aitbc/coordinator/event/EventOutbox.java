package io.aitbc.coordinator.event;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
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
 * Events of steps that nobody repeats: a task was cancelled or redriven by a caller, or its record is gone. The script that performs the step notes the event in
 * Redis, see {@code notice.lua}; it is removed once Kafka has it. If the caller dies in between, the thread {@code event-outbox} of any coordinator
 * publishes it. Thread-safe.
 */
public final class EventOutbox implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(EventOutbox.class);
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    /** Until then its caller is about to publish it. */
    private static final Duration GRACE = Duration.ofSeconds(5);

    private static final ScanArgs SCAN = ScanArgs.Builder.limit(500);
    private static final Duration WAIT = Duration.ofSeconds(2);
    private static final Duration LONG_WAIT = Duration.ofSeconds(20);

    private final Redis redis;
    private final TaskEvents events;
    private final Clock clock;
    private final PeriodicJob job = new PeriodicJob("event-outbox", INTERVAL, this::publishForgotten);

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
    public List<String> problems() {
        return events.isEnabled() ? job.problems() : List.of();
    }

    /** The argument by which a script knows whether to note events. */
    public String noteFlag() {
        return events.isEnabled() ? "1" : "";
    }

    /**
     * Publishes events that a script has noted, and waits for Kafka for up to 2 s: if it does not answer, they follow later. Never fails because of Kafka or
     * Redis.
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

    private void publishForgotten() throws InterruptedException {
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

    /** Sets aside what cannot be read. */
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

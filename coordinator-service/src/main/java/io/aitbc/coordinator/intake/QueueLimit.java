package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.security.ThrottledException;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * Bounds how many tasks may wait in each queue, for submissions over REST. Sizes are read every second; in between, a coordinator counts what
 * it accepts itself, so several coordinators may exceed the bound by what they accept within a second. Until the first reading, there is
 * no bound. While Kafka is unavailable, the last sizes apply. Thread-safe.
 */
public final class QueueLimit implements BackgroundService {
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    private static final Duration RETRY_AFTER = Duration.ofSeconds(5);

    private final QueueSizes sizes;
    private final long limit;
    private final Map<Priority, QueueRoom> rooms = new EnumMap<>(Priority.class);

    private final PeriodicJob job = new PeriodicJob("queue-limit", INTERVAL, this::refresh);

    /** @param limit 0: none */
    QueueLimit(QueueSizes sizes, long limit) {
        if (limit < 0) {
            throw new IllegalArgumentException("aitbc.queues.max-waiting must be 0 or more");
        }
        this.sizes = sizes;
        this.limit = limit;
        for (Priority priority : Priority.values()) {
            rooms.put(priority, new QueueRoom());
        }
    }

    @Override
    public void start() {
        if (limit > 0) {
            job.start();
        }
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    private void refresh() throws InterruptedException {
        Map<Priority, Long> marks = new EnumMap<>(Priority.class);
        rooms.forEach((priority, room) -> marks.put(priority, room.mark()));
        sizes.read().forEach((priority, size) -> {
            if (size != null) {
                of(priority).update(Objects.requireNonNull(marks.get(priority)), limit - size);
            }
        });
    }

    private QueueRoom of(Priority priority) {
        return Objects.requireNonNull(rooms.get(priority));
    }

    /** Counts a task to be appended to a queue, until {@link #end}; if the queue is full, returns the reason for refusing it. */
    Optional<ThrottledException> refuses(Priority priority) {
        if (of(priority).tryBegin()) {
            return Optional.empty();
        }
        return Optional.of(new ThrottledException(
                "the " + priority.wireName() + " queue is full: at most " + limit + " tasks may wait in it",
                RETRY_AFTER));
    }

    /** Says that a task that was not refused has been appended, or was not within the time that Kafka has for it. */
    void end(Priority priority) {
        of(priority).end();
    }
}

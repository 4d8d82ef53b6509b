package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Set;

/**
 * Waiting tasks that may not be visible to queries yet. Assignment has precedence: while it is busy, most tasks are assigned before their
 * turn here.
 */
final class Unrecorded {
    private static final Duration INTERVAL = Duration.ofMillis(100);
    /** Maximum number per call while tasks are being assigned. */
    private static final int MAX_WHILE_BUSY = 200;

    private final Backlog backlog;
    private final int batch;
    /** Some of them may no longer wait. */
    private final Deque<Position> positions = new ArrayDeque<>();

    private Instant next = Instant.EPOCH;
    private Instant lastPlacementAt = Instant.EPOCH;

    Unrecorded(Backlog backlog, int batch) {
        this.backlog = backlog;
        this.batch = batch;
    }

    void add(Position position) {
        positions.add(position);
    }

    void addAll(Collection<WaitingTask> tasks) {
        tasks.forEach(task -> positions.add(task.position()));
    }

    /** Starts over with all waiting tasks. */
    void reset() {
        positions.clear();
        addAll(backlog.all());
    }

    void removeAll(Set<OwnedPartition.Id> partitions) {
        positions.removeIf(position -> partitions.contains(OwnedPartition.Id.of(position)));
    }

    void placed(Instant now) {
        lastPlacementAt = now;
    }

    void clockSetBack() {
        next = Instant.EPOCH;
        lastPlacementAt = Instant.EPOCH;
    }

    /** The tasks to record now. */
    List<WaitingTask> take(Instant now) {
        if (now.isBefore(next)) {
            return List.of();
        }
        if (positions.size() > batch + 2 * backlog.size()) {
            positions.removeIf(position -> backlog.at(position) == null);
        }
        boolean busy = now.isBefore(lastPlacementAt.plus(INTERVAL));
        int most = busy ? Math.min(batch, MAX_WHILE_BUSY) : batch;
        List<WaitingTask> taken = new ArrayList<>();
        while (taken.size() < most && !positions.isEmpty()) {
            WaitingTask task = backlog.at(positions.remove());
            if (task != null) {
                taken.add(task);
            }
        }
        if (!taken.isEmpty()) {
            next = busy ? now.plus(INTERVAL) : now;
        }
        return taken;
    }
}

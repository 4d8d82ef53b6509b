package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.BacklogEntry;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;

/**
 * Waiting tasks that may not be visible to queries yet. Reading and assignment have precedence: while they are busy, most tasks are assigned
 * before their turn here. Tasks without a payload are skipped; they become visible when their turn comes near.
 */
final class Unrecorded {
    private static final Duration INTERVAL = Duration.ofMillis(100);
    /** Maximum number per call while tasks are being assigned. */
    private static final int MAX_WHILE_BUSY = 200;

    private final Backlog backlog;
    private final int batch;
    /** Some of them may no longer wait. */
    private final Deque<BacklogEntry> entries = new ArrayDeque<>();

    private int readSinceTaken;
    private Instant next = Instant.EPOCH;
    private Instant lastPlacementAt = Instant.EPOCH;

    Unrecorded(Backlog backlog, int batch) {
        this.backlog = backlog;
        this.batch = batch;
    }

    void add(BacklogEntry entry) {
        entries.add(entry);
    }

    /** Notes that a task was read. */
    void read() {
        readSinceTaken++;
    }

    void addAll(Collection<BacklogEntry> all) {
        entries.addAll(all);
    }

    /** Starts over with all waiting tasks. */
    void reset() {
        entries.clear();
        addAll(backlog.find(entry -> entry.task() != null));
    }

    void placed(Instant now) {
        lastPlacementAt = now;
    }

    boolean hasPlacedSince(Instant time) {
        return lastPlacementAt.isAfter(time);
    }

    void clockSetBack() {
        next = Instant.EPOCH;
        lastPlacementAt = Instant.EPOCH;
    }

    /** The entries to record now, all with payloads. */
    List<BacklogEntry> take(Instant now) {
        if (now.isBefore(next)) {
            return List.of();
        }
        if (entries.size() > batch + 2 * backlog.size()) {
            entries.removeIf(entry -> !mustBeRecorded(entry));
        }
        boolean busy = now.isBefore(lastPlacementAt.plus(INTERVAL)) || readSinceTaken >= batch;
        readSinceTaken = 0;
        int most = busy ? Math.min(batch, MAX_WHILE_BUSY) : batch;
        List<BacklogEntry> taken = new ArrayList<>();
        while (taken.size() < most && !entries.isEmpty()) {
            BacklogEntry entry = entries.remove();
            if (mustBeRecorded(entry)) {
                taken.add(entry);
            }
        }
        if (!taken.isEmpty()) {
            next = busy ? now.plus(INTERVAL) : now;
        }
        return taken;
    }

    /** A task whose reservation was refused waits again, with another entry. */
    private boolean mustBeRecorded(BacklogEntry entry) {
        return entry.task() != null && (!entry.isRemoved() || backlog.contains(entry.position()));
    }
}

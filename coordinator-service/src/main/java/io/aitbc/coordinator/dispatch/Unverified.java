package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Tasks that may have an agent already, because the answer to a reservation was lost or its publication failed, here or on the previous
 * owner. They are in no backlog, and must not wait for a free agent: they may be the ones that fill it.
 */
final class Unverified {
    private static final Duration REPUBLISH_INTERVAL = Duration.ofSeconds(1);

    private final OwnedPartitions partitions;
    private final List<WaitingTask> tasks = new ArrayList<>();
    private Instant next = Instant.EPOCH;

    Unverified(OwnedPartitions partitions) {
        this.partitions = partitions;
    }

    /** Schedules a check whether an agent has the task. */
    void add(WaitingTask task) {
        if (partitions.owns(task)) {
            tasks.add(task);
        }
    }

    /** Delays the next check, after Kafka failed to publish an assignment. */
    void delay(Instant now) {
        next = now.plus(REPUBLISH_INTERVAL);
    }

    void clockSetBack() {
        next = Instant.EPOCH;
    }

    void lost(Set<OwnedPartition.Id> ids) {
        tasks.removeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())));
    }

    /** The tasks to check now. */
    List<WaitingTask> take(int most, Instant now) {
        if (tasks.isEmpty() || now.isBefore(next)) {
            return List.of();
        }
        List<WaitingTask> first = tasks.subList(0, Math.min(most, tasks.size()));
        List<WaitingTask> taken = List.copyOf(first);
        first.clear();
        return taken;
    }
}

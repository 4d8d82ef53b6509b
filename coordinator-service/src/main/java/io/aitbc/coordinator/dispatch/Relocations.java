package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.BacklogEntry;
import io.aitbc.coordinator.match.WaitingTask;
import java.util.Comparator;
import java.util.List;

/**
 * Appends tasks again that have waited for longer than records are kept. Kafka can only delete the first records of a partition: a task that
 * no agent takes would hold back for ever all that is done behind it. Its place in its queue does not change, since that depends on when it
 * was accepted.
 */
final class Relocations {
    /** The rest follows in the next interval. */
    private static final int MAX_STARTED = 10_000;

    private final Backlog backlog;
    private final OwnedPartitions partitions;
    private final Payloads payloads;
    private final Waiting waiting;
    private final Endings endings;
    private final SideEffects effects;
    private final PendingRequests pendingRequests;

    Relocations(
            Backlog backlog,
            OwnedPartitions partitions,
            Payloads payloads,
            Waiting waiting,
            Endings endings,
            SideEffects effects,
            PendingRequests pendingRequests) {
        this.backlog = backlog;
        this.partitions = partitions;
        this.payloads = payloads;
        this.waiting = waiting;
        this.endings = endings;
        this.effects = effects;
        this.pendingRequests = pendingRequests;
    }

    /**
     * Relocates tasks of a partition, if at least as many others are done behind the first.
     *
     * @param end the offset below which records are old
     */
    void start(OwnedPartition.Id id, long end) {
        OwnedPartition partition = partitions.get(id);
        if (partition == null
                || partition.lowestUnfinished() >= end
                || partition.isClearing()
                || partition.doneAbove() == 0) {
            return;
        }
        List<BacklogEntry> old = backlog.find(
                entry -> entry.priority() == id.priority() && entry.partition() == id.number() && entry.offset() < end);
        if (old.size() <= partition.doneAbove()) {
            old.stream()
                    .sorted(Comparator.comparing(BacklogEntry::position))
                    .limit(MAX_STARTED)
                    .forEach(this::request);
        }
    }

    private void request(BacklogEntry entry) {
        WaitingTask task = entry.task();
        if (task != null) {
            relocate(entry, task);
        } else {
            payloads.requestLater(entry, read -> {
                if (read == null) {
                    backlog.remove(entry);
                } else {
                    relocate(entry, read);
                }
            });
        }
    }

    private void relocate(BacklogEntry entry, WaitingTask task) {
        OwnedPartition partition = partitions.of(task.position());
        if (partition == null || partition.isClearing() || entry.isRemoved()) {
            return;
        }
        // It must not be assigned, or ended, before it is known whether it has been appended.
        backlog.remove(entry);
        pendingRequests.handle(effects.append(task), (done, failure) -> {
            if (partition != partitions.of(task.position())) {
                // The partition was lost meanwhile, and perhaps regained: the task is then read again.
                return;
            }
            String clearId = partition.clearOf(task.position().offset());
            if (failure != null) {
                waiting.putBack(task);
            } else if (clearId != null) {
                // The clear was given meanwhile, and does not cover the new record.
                endings.add(task, TaskStatus.CANCELLED, clearId);
            } else {
                partitions.finished(task.position());
            }
        });
    }
}

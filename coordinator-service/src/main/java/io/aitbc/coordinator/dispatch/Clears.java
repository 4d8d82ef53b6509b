package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Backlog;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * The clear commands of all queues and their progress. A command names an end offset per partition; whoever owns a partition cancels its
 * tasks below that offset, and reports when none is left. A new owner restarts commands that no owner has reported as finished.
 */
final class Clears {
    /** Number of clears kept per queue; a newer clear supersedes older ones. */
    static final int MAX_KEPT = 5;

    private final OwnedPartitions partitions;
    private final Backlog backlog;
    private final Endings endings;
    private final SideEffects effects;
    /** The latest clear commands of each queue, from any coordinator, oldest first. */
    private final Map<Priority, Deque<ClearQueue>> commands = new EnumMap<>(Priority.class);
    /** Finished clears per partition, as reported by any owner. */
    private final Set<QueueCleared> reports = new HashSet<>();

    Clears(OwnedPartitions partitions, Backlog backlog, Endings endings, SideEffects effects) {
        this.partitions = partitions;
        this.backlog = backlog;
        this.endings = endings;
        this.effects = effects;
    }

    /** Starts a clear in all partitions of its queue. */
    void start(ClearQueue command) {
        Deque<ClearQueue> ofQueue = commands.computeIfAbsent(command.priority(), priority -> new ArrayDeque<>());
        ofQueue.add(command);
        if (ofQueue.size() > MAX_KEPT) {
            String superseded = ofQueue.remove().commandId();
            reports.removeIf(report -> report.commandId().equals(superseded));
        }
        partitions.forEach((id, partition) -> {
            if (id.priority() == command.priority()) {
                start(id, partition, command);
            }
        });
    }

    /** Starts the unfinished clears of a partition that was gained. */
    void resume(OwnedPartition.Id id, OwnedPartition partition) {
        commands.getOrDefault(id.priority(), new ArrayDeque<>()).forEach(command -> start(id, partition, command));
    }

    private void start(OwnedPartition.Id id, OwnedPartition partition, ClearQueue command) {
        if (!reports.contains(new QueueCleared(command.commandId(), id.priority(), id.number()))) {
            partition.clear(command, id.number());
            backlog.takeIf(entry -> entry.priority() == id.priority()
                            && entry.partition() == id.number()
                            && partition.clearOf(entry.offset()) != null)
                    .forEach(entry -> endings.add(
                            entry, TaskStatus.CANCELLED, Objects.requireNonNull(partition.clearOf(entry.offset()))));
        }
    }

    /** Records that a clear is finished in a partition, as reported by its owner. */
    void reported(QueueCleared report) {
        reports.add(report);
        OwnedPartition partition = partitions.get(new OwnedPartition.Id(report.priority(), report.partition()));
        if (partition != null) {
            partition.cleared(report.commandId());
        }
    }

    /** Finishes the clears of a deleted topic: they must not cancel tasks in a new topic of that name. */
    void topicDeleted(Priority priority) {
        for (ClearQueue command : commands.getOrDefault(priority, new ArrayDeque<>())) {
            for (int number : command.endOffsets().keySet()) {
                QueueCleared report = new QueueCleared(command.commandId(), priority, number);
                if (reports.add(report)) {
                    effects.report(report);
                }
            }
        }
    }

    /** Finds out where the partitions end that are being cleared, and which offsets hold no record. */
    void advance() {
        Set<OwnedPartition.Id> withoutEnd = new HashSet<>();
        partitions.forEach((id, partition) -> {
            if (partition.isClearing()) {
                // Offsets below the position without a record (transaction markers) are done.
                partition.readUpTo(effects.position(id));
                if (partition.needsEnd()) {
                    withoutEnd.add(id);
                }
            }
        });
        if (!withoutEnd.isEmpty()) {
            // Includes records hidden by an open transaction, if they were there when the command was given.
            effects.appendedEnds(withoutEnd)
                    .forEach((id, end) ->
                            Objects.requireNonNull(partitions.get(id)).setEnd(end));
        }
    }

    /** Reports the clears that have finished since the last call. */
    void report() {
        partitions.forEach((id, partition) -> {
            if (partition.isClearing()) {
                for (ClearQueue finished : partition.takeFinishedClears()) {
                    QueueCleared report = new QueueCleared(finished.commandId(), id.priority(), id.number());
                    reports.add(report);
                    effects.report(report);
                }
            }
        });
    }
}

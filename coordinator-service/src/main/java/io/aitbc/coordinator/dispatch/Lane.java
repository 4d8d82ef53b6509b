package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.intake.OffsetLedger;
import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The partitions that one thread owns: which of their offsets are done, which tasks of theirs wait, and what is being cleared. Knows
 * no Kafka and no clock.
 */
final class Lane {
    /** A partition of the topic of a priority. */
    record Partition(Priority priority, int number) {
        static Partition of(Position position) {
            return new Partition(position.priority(), position.partition());
        }
    }

    /** What is to be committed for a partition. */
    record Commit(long offset, String metadata) {}

    private final Matcher matcher;
    private final int windowPerPartition;
    private final Map<Partition, OffsetLedger> ledgers = new HashMap<>();
    private final Map<Partition, Commit> committed = new HashMap<>();
    /** The newest clear command of each priority, whichever coordinator was asked. */
    private final Map<Priority, ClearQueue> clears = new EnumMap<>(Priority.class);
    /** Partitions of this lane in which the newest clear has work left. */
    private final Map<Partition, ClearQueue> clearing = new HashMap<>();

    Lane(Matcher matcher, int windowPerPartition) {
        this.matcher = matcher;
        this.windowPerPartition = windowPerPartition;
    }

    void gained(Partition partition, long committedOffset, String metadata) {
        ledgers.put(partition, OffsetLedger.restore(committedOffset, metadata));
        ClearQueue clear = clears.get(partition.priority());
        if (clear != null) {
            startClearing(partition, clear);
        }
    }

    void lost(Set<Partition> partitions) {
        ledgers.keySet().removeAll(partitions);
        committed.keySet().removeAll(partitions);
        clearing.keySet().removeAll(partitions);
        matcher.backlog().takeIf(task -> partitions.contains(Partition.of(task.position())));
    }

    /** Notes that a record was read; false if it is done already, or not this lane's, and is to be skipped. */
    boolean received(Position position) {
        OffsetLedger ledger = ledgers.get(Partition.of(position));
        return ledger != null && ledger.received(position.offset());
    }

    /** Notes how far a partition was read: what lies before and held no record (transaction markers) is done. */
    void readUpTo(Partition partition, long position) {
        OffsetLedger ledger = ledgers.get(partition);
        if (ledger != null) {
            ledger.readUpTo(position);
        }
    }

    Set<Partition> clearing() {
        return clearing.keySet();
    }

    /** Lets a task wait, unless its partition was lost meanwhile. */
    void await(WaitingTask task, Instant now) {
        if (owns(task.position())) {
            matcher.backlog().add(task, now);
        }
    }

    void finished(Position position) {
        OffsetLedger ledger = ledgers.get(Partition.of(position));
        if (ledger != null) {
            ledger.finished(position.offset());
        }
    }

    boolean owns(Position position) {
        return ledgers.containsKey(Partition.of(position));
    }

    /** Whether a partition has as many unfinished tasks as may be held. */
    boolean isFull(Partition partition) {
        OffsetLedger ledger = ledgers.get(partition);
        return ledger != null && ledger.unfinished() >= windowPerPartition;
    }

    /** What changed since the last call, to be committed. */
    Map<Partition, Commit> commits() {
        Map<Partition, Commit> changed = new HashMap<>();
        ledgers.forEach((partition, ledger) -> {
            Commit now = new Commit(ledger.lowestUnfinished(), ledger.metadata());
            if (!now.equals(committed.put(partition, now))) {
                changed.put(partition, now);
            }
        });
        return changed;
    }

    /** Forgets that commits were made, because they failed: the next call of {@link #commits} has them again. */
    void commitFailed() {
        committed.clear();
    }

    void clear(ClearQueue command) {
        clears.put(command.priority(), command);
        ledgers.keySet().stream()
                .filter(partition -> partition.priority() == command.priority())
                .forEach(partition -> startClearing(partition, command));
    }

    private void startClearing(Partition partition, ClearQueue command) {
        if (command.endOffsets().getOrDefault(partition.number(), 0L) > 0) {
            clearing.put(partition, command);
        }
    }

    /** Takes out waiting tasks that a clear means, with the id of the command. */
    Map<String, List<WaitingTask>> takeCleared() {
        if (clearing.isEmpty()) {
            return Map.of();
        }
        Map<String, List<WaitingTask>> taken = new HashMap<>();
        Backlog backlog = matcher.backlog();
        for (WaitingTask task : backlog.takeIf(task -> clearOf(task.position()) != null)) {
            taken.computeIfAbsent(clearOf(task.position()), id -> new ArrayList<>())
                    .add(task);
        }
        return taken;
    }

    /** The partitions in which a clear has just come to its end, to be reported. */
    List<QueueCleared> takeFinishedClears() {
        List<QueueCleared> reports = new ArrayList<>();
        clearing.entrySet().removeIf(entry -> {
            Partition partition = entry.getKey();
            ClearQueue command = entry.getValue();
            OffsetLedger ledger = ledgers.get(partition);
            boolean done = ledger.lowestUnfinished() >= command.endOffsets().get(partition.number());
            if (done) {
                reports.add(new QueueCleared(command.commandId(), partition.priority(), partition.number()));
            }
            return done;
        });
        return reports;
    }

    private @Nullable String clearOf(Position position) {
        ClearQueue command = clearing.get(Partition.of(position));
        return command != null && position.offset() < command.endOffsets().get(position.partition())
                ? command.commandId()
                : null;
    }
}

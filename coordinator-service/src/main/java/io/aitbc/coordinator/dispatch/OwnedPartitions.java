package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The partitions of a lane. Their unfinished tasks without an agent are in the backlog, or are being ended. */
final class OwnedPartitions {
    private final Backlog backlog;
    private final int maxWaiting;
    private final Map<OwnedPartition.Id, OwnedPartition> byId = new HashMap<>();
    private Instant readOnUntil = Instant.EPOCH;
    /** The last one asked for: records come in sequences of one partition. */
    private OwnedPartition.@Nullable Id lastId;

    private @Nullable OwnedPartition last;

    /** @param maxWaiting maximum number of tasks in the backlog */
    OwnedPartitions(Backlog backlog, int maxWaiting) {
        this.backlog = backlog;
        this.maxWaiting = maxWaiting;
    }

    void add(OwnedPartition.Id id, OwnedPartition partition) {
        byId.put(id, partition);
        forgetLast();
    }

    /**
     * Gives up partitions with their waiting tasks.
     *
     * @return the number of these tasks
     */
    int removeAll(Set<OwnedPartition.Id> ids) {
        byId.keySet().removeAll(ids);
        forgetLast();
        return backlog.takeIf(entry -> ids.contains(new OwnedPartition.Id(entry.priority(), entry.partition())))
                .size();
    }

    Set<OwnedPartition.Id> ids() {
        return Set.copyOf(byId.keySet());
    }

    void forEach(BiConsumer<OwnedPartition.Id, OwnedPartition> action) {
        byId.forEach(action);
    }

    /** Null if it is not owned. */
    @Nullable
    OwnedPartition get(OwnedPartition.Id id) {
        return byId.get(id);
    }

    /** The partition of a record; null if it is not owned. */
    @Nullable
    OwnedPartition of(Position position) {
        if (lastId == null || lastId.number() != position.partition() || lastId.priority() != position.priority()) {
            lastId = OwnedPartition.Id.of(position);
            last = byId.get(lastId);
        }
        return last;
    }

    private void forgetLast() {
        lastId = null;
        last = null;
    }

    boolean owns(WaitingTask task) {
        return of(task.position()) != null;
    }

    /** Marks a record as read; false if it is already done, or not in an owned partition, and must be skipped. */
    boolean received(Position position) {
        OwnedPartition partition = of(position);
        return partition != null && partition.received(position.offset());
    }

    void readUpTo(OwnedPartition.Id id, long position) {
        OwnedPartition partition = byId.get(id);
        if (partition != null) {
            partition.readUpTo(position);
        }
    }

    /** Marks the record at this position done. */
    void finished(Position position) {
        OwnedPartition partition = of(position);
        if (partition != null) {
            partition.finished(position.offset());
        }
    }

    boolean isBacklogFull() {
        return backlog.weight() >= maxWaiting;
    }

    /** Reads on for a while although the backlog is full, in search of a task. */
    void readOnUntil(Instant time) {
        readOnUntil = time;
    }

    /**
     * Whether no more records of a partition are to be read now.
     *
     * @param ending number of tasks that are being ended
     */
    boolean isFull(OwnedPartition.Id id, int ending, Instant now) {
        OwnedPartition partition = byId.get(id);
        long more = maxWaiting / 4 + 100L;
        long most = now.isBefore(readOnUntil) ? maxWaiting + more : maxWaiting;
        if (partition == null || backlog.weight() < most || partition.hasUnreadReserved()) {
            return false;
        }
        return ending >= more || !partition.readsForClear();
    }

    /** The commits of certain partitions, if they changed since the last call. */
    Map<OwnedPartition.Id, Commit> commits(Predicate<OwnedPartition.Id> which) {
        Map<OwnedPartition.Id, Commit> changed = new HashMap<>();
        byId.forEach((id, partition) -> {
            Commit commit = which.test(id) ? partition.changedCommit() : null;
            if (commit != null) {
                changed.put(id, commit);
            }
        });
        return changed;
    }

    /** Marks all commits as not made, after a failure: the next call of {@link #commits} returns them again. */
    void commitFailed() {
        byId.values().forEach(OwnedPartition::commitFailed);
    }
}

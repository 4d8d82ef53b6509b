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
import org.jspecify.annotations.Nullable;

/** The partitions of a lane, each with a window of unfinished tasks, of which those without an agent are in the backlog. */
final class OwnedPartitions {
    private final Backlog backlog;
    private final int window;
    private final long windowBytes;
    private final long memory;
    private final Map<OwnedPartition.Id, OwnedPartition> byId = new HashMap<>();

    /**
     * @param window maximum number of unfinished tasks per partition
     * @param windowBytes maximum total size of these, excluding the last
     * @param memory heap bytes for the tasks of all partitions; each has an equal share
     */
    OwnedPartitions(Backlog backlog, int window, long windowBytes, long memory) {
        this.backlog = backlog;
        this.window = window;
        this.windowBytes = windowBytes;
        this.memory = memory;
    }

    int window() {
        return window;
    }

    long windowBytes() {
        return windowBytes;
    }

    void add(OwnedPartition.Id id, OwnedPartition partition) {
        byId.put(id, partition);
    }

    /**
     * Gives up partitions with their waiting tasks.
     *
     * @return the number of these tasks
     */
    int removeAll(Set<OwnedPartition.Id> ids) {
        byId.keySet().removeAll(ids);
        return backlog.takeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())))
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

    /** The partition of a task; null if it is not owned. */
    @Nullable
    OwnedPartition of(WaitingTask task) {
        return byId.get(OwnedPartition.Id.of(task.position()));
    }

    /** The clear command that cancels a task; null if there is none. */
    @Nullable
    String clearOf(WaitingTask task) {
        OwnedPartition partition = of(task);
        return partition == null ? null : partition.clearOf(task);
    }

    boolean owns(WaitingTask task) {
        return of(task) != null;
    }

    /** Marks a record as read; false if it is already done, or not in an owned partition, and must be skipped. */
    boolean received(Position position) {
        OwnedPartition partition = byId.get(OwnedPartition.Id.of(position));
        return partition != null && partition.received(position.offset());
    }

    void readUpTo(OwnedPartition.Id id, long position) {
        OwnedPartition partition = byId.get(id);
        if (partition != null) {
            partition.readUpTo(position);
        }
    }

    /** Adds a task to the backlog, or puts it back, unless its partition was lost meanwhile. */
    void addWaiting(WaitingTask task, Instant now) {
        OwnedPartition partition = of(task);
        if (partition != null) {
            partition.addWaiting(task);
            backlog.add(task, now);
        }
    }

    /** Marks the record at this position done. */
    void finished(Position position) {
        OwnedPartition partition = byId.get(OwnedPartition.Id.of(position));
        if (partition != null) {
            partition.finished(position.offset());
        }
    }

    /** Marks the record at this position done, because its assignment was published. */
    void published(Position position, Instant now) {
        OwnedPartition partition = byId.get(OwnedPartition.Id.of(position));
        if (partition != null) {
            partition.finished(position.offset());
            partition.markProgress(now);
        }
    }

    /** Whether a partition holds the maximum of unfinished tasks. */
    boolean isFull(OwnedPartition.Id id) {
        OwnedPartition partition = byId.get(id);
        if (partition == null) {
            return false;
        }
        // Cleared tasks are removed at once, which makes room to read on, but within a bound while Redis is
        // unavailable.
        int windows = partition.readsForClear() ? 2 : 1;
        return partition.unfinished() >= (long) windows * window
                || partition.bytes() >= windows * windowBytes
                || partition.memory() / windows >= memory / byId.size();
    }

    /** The commits that changed since the last call. */
    Map<OwnedPartition.Id, Commit> commits() {
        Map<OwnedPartition.Id, Commit> changed = new HashMap<>();
        byId.forEach((id, partition) -> {
            Commit commit = partition.changedCommit();
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

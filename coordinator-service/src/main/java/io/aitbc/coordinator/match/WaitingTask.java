package io.aitbc.coordinator.match;

import io.aitbc.contracts.Task;
import java.time.Instant;
import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * A task that no agent holds yet.
 *
 * @param origin its first offset in the partition; differs from that of its position once deferred
 * @param waitingSince when it was first accepted; determines its turn and its aging
 * @param bytes size in Kafka, for the memory limit
 * @param trace the trace header of its record; null if it has none
 */
public record WaitingTask(
        Task task,
        Position position,
        long origin,
        Instant waitingSince,
        int bytes,
        @Nullable String trace) {

    /** Orders tasks with an earliest time of assignment by it. */
    static final Comparator<WaitingTask> BY_START =
            Comparator.comparing(task -> task.task().notBefore());
    /** Orders tasks with a latest time of assignment by it. */
    static final Comparator<WaitingTask> BY_EXPIRY =
            Comparator.comparing((WaitingTask task) -> task.task().expiresAt()).thenComparing(WaitingTask::position);

    /** A task without a trace. */
    public WaitingTask(Task task, Position position, long origin, Instant waitingSince, int bytes) {
        this(task, position, origin, waitingSince, bytes, null);
    }

    public String id() {
        return task.id();
    }

    /** Whether the task was deferred to the tail of its partition. */
    public boolean wasDeferred() {
        return origin != position.offset();
    }

    /** The priority level, 0 for urgent to 4 for low. */
    int level() {
        return position.priority().ordinal();
    }

    /** Whether it has an earliest time of assignment, passed or not. */
    boolean hasStart() {
        return task.notBefore() != null;
    }

    boolean startsAfter(Instant now) {
        return task.notBefore() != null && task.notBefore().isAfter(now);
    }

    boolean hasExpiry() {
        return task.expiresAt() != null;
    }

    boolean expiredBy(Instant now) {
        return task.expiresAt() != null && !task.expiresAt().isAfter(now);
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Task;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A task that no agent has yet.
 *
 * @param origin the offset at which it stood in its partition first; another than its position's after it was put off
 * @param waitingSince when it was accepted first, which decides its turn and its aging
 * @param bytes its size in Kafka, for the bound on memory
 * @param trace to which it belongs, as in the header of its record; null if it belongs to none
 */
public record WaitingTask(
        Task task,
        Position position,
        long origin,
        Instant waitingSince,
        int bytes,
        @Nullable String trace) {

    /** One that belongs to no trace. */
    public WaitingTask(Task task, Position position, long origin, Instant waitingSince, int bytes) {
        this(task, position, origin, waitingSince, bytes, null);
    }

    public String id() {
        return task.taskId();
    }

    /** Whether it was moved from where it stood to the tail of its partition. */
    public boolean wasPutOff() {
        return origin != position.offset();
    }

    /** 0 for urgent to 4 for low. */
    int level() {
        return position.priority().ordinal();
    }

    boolean startsAfter(Instant now) {
        return task.notBefore() != null && task.notBefore().isAfter(now);
    }

    boolean expiredBy(Instant now) {
        return task.expiresAt() != null && !task.expiresAt().isAfter(now);
    }
}

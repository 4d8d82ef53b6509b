package io.aitbc.coordinator.match;

import io.aitbc.contracts.Task;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A task that no agent holds yet.
 *
 * @param waitingSince when it was first accepted; determines its turn and its aging
 * @param bytes size in Kafka, for the memory limit
 * @param trace the trace header of its record; null if it has none
 */
public record WaitingTask(
        Task task,
        Position position,
        Instant waitingSince,
        int bytes,
        @Nullable String trace) {
    /** With the next constant, a task of 250 bytes counts as 850: {@code benchmarks memory} measures 460, without requirements. */
    private static final long HEAP_PER_TASK = 600;

    /** The payload is kept as received. */
    private static final long HEAP_PER_BYTE = 1;

    /** The estimate for a task of 250 bytes. */
    static final long TYPICAL_HEAP = HEAP_PER_TASK + 250 * HEAP_PER_BYTE;

    /** A task without a trace. */
    public WaitingTask(Task task, Position position, Instant waitingSince, int bytes) {
        this(task, position, waitingSince, bytes, null);
    }

    public String id() {
        return task.id();
    }

    /** Estimated heap usage in bytes. */
    public long heap() {
        return HEAP_PER_TASK + bytes * HEAP_PER_BYTE;
    }
}

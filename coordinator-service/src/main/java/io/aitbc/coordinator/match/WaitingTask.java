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
    /** With the next constant, a task of 250 bytes counts as 1,700: {@code benchmarks memory} measures 1,000 to 1,700. */
    private static final long HEAP_PER_TASK = 1_200;

    /** Text is kept as received, and small values in it become objects. */
    private static final long HEAP_PER_BYTE = 2;

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

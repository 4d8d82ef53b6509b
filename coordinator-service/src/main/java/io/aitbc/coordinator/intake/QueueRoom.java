package io.aitbc.coordinator.intake;

import java.util.concurrent.atomic.AtomicLong;

/**
 * How many more tasks one queue may have, between two readings of its size. A task that is being appended while the size is read may or may
 * not be part of it, so it counts in any case: the bound holds, and may be reached early by what is appended meanwhile. Thread-safe.
 *
 * <pre>{@code
 * long mark = room.mark();
 * room.update(mark, limit - readSize());
 * if (room.tryBegin()) {
 *     try {
 *         append(task);
 *     } finally {
 *         room.end();
 *     }
 * }
 * }</pre>
 */
final class QueueRoom {
    private final AtomicLong begun = new AtomicLong();
    private final AtomicLong ended = new AtomicLong();
    /** How many may have begun; unlimited until the size is known. */
    private volatile long ceiling = Long.MAX_VALUE;

    /** Takes the room of a task to be appended; false if the queue is full. {@link #end} must follow. */
    boolean tryBegin() {
        long most = ceiling;
        return begun.getAndUpdate(count -> count < most ? count + 1 : count) < most;
    }

    /** Says that a task has been appended, or was not within the time that Kafka has for it. One that arrives later counts once it is read. */
    void end() {
        ended.incrementAndGet();
    }

    /** To be taken before the size is read: all tasks that have ended by now are part of it, or have left the queue. */
    long mark() {
        return ended.get();
    }

    /** @param free the limit less the size that was read after the mark was taken; negative if the queue exceeds its limit */
    void update(long mark, long free) {
        ceiling = mark + free;
    }
}

/**
 * The queues in Kafka: appending tasks to {@code tasks.*}, reading them, tracking which offsets are done, and how much is left. {@link
 * io.aitbc.coordinator.queue.OffsetLedger} is owned by the thread {@code dispatcher}; the other classes are thread-safe.
 */
@NullMarked
package io.aitbc.coordinator.queue;

import org.jspecify.annotations.NullMarked;

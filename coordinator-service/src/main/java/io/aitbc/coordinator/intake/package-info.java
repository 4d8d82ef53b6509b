/**
 * The way of tasks into the coordinator: onto {@code tasks.*}, off it again, and which offsets are done. Records that are no tasks
 * go to the dead-letter topic. {@link io.aitbc.coordinator.intake.OffsetLedger} is owned by the dispatching thread; the others may
 * be used by any.
 */
@NullMarked
package io.aitbc.coordinator.intake;

import org.jspecify.annotations.NullMarked;

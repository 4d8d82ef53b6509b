/**
 * Task intake: appending to {@code tasks.*}, reading from it, and tracking which offsets are done. Poison records go to the dead-letter
 * topic. {@link io.aitbc.coordinator.intake.OffsetLedger} is owned by the dispatching thread; the other classes are thread-safe.
 */
@NullMarked
package io.aitbc.coordinator.intake;

import org.jspecify.annotations.NullMarked;

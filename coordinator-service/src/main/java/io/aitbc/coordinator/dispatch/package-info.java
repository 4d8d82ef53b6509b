/**
 * The loop that takes tasks off their topics and hands them to agents. One thread, {@code dispatcher}, owns the partitions that the
 * group gave this coordinator and all state about them: {@link io.aitbc.coordinator.dispatch.Lane}, the matcher, the backlog, the
 * ledgers. Everyone else puts a command into its mailbox or reads the snapshot in {@link io.aitbc.coordinator.dispatch.LaneFigures}.
 * While Redis is away nothing is dispatched and nothing is lost; while Kafka is away neither.
 */
@NullMarked
package io.aitbc.coordinator.dispatch;

import org.jspecify.annotations.NullMarked;

/**
 * The dispatch loop, which takes tasks from their topics and assigns them to agents. One thread, {@code dispatcher}, owns the partitions
 * that the group assigned to this coordinator and all their state: {@link io.aitbc.coordinator.dispatch.Lane}, the matcher, the backlog,
 * the ledgers. Other threads post commands to its mailbox or read the snapshot in {@link io.aitbc.coordinator.dispatch.LaneStats}. While
 * Redis or Kafka is unavailable, nothing is dispatched and nothing is lost.
 */
@NullMarked
package io.aitbc.coordinator.dispatch;

import org.jspecify.annotations.NullMarked;

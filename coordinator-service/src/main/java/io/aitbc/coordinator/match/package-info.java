/**
 * Which waiting task goes to which agent, now: the decision at the heart of the coordinator. Pure: no input or output, no clock.
 * One {@link io.aitbc.coordinator.match.Backlog} and one {@link io.aitbc.coordinator.match.Matcher} belong to one thread.
 */
@NullMarked
package io.aitbc.coordinator.match;

import org.jspecify.annotations.NullMarked;

/**
 * Which waiting task goes to which agent: the coordinator's core decision. Pure: no input or output, no clock. A {@link
 * io.aitbc.coordinator.match.Backlog} and a {@link io.aitbc.coordinator.match.Matcher} are owned by one thread.
 */
@NullMarked
package io.aitbc.coordinator.match;

import org.jspecify.annotations.NullMarked;

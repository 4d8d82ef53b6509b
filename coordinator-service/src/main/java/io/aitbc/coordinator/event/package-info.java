/** Life-cycle events of tasks, and their way to {@code tasks.events}. */
@NullMarked
package io.aitbc.coordinator.event;

import org.jspecify.annotations.NullMarked;

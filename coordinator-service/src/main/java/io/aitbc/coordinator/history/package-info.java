/** A projection of {@code tasks.events} into PostgreSQL, in which every task can be found. Dispatch never waits for it. */
@NullMarked
package io.aitbc.coordinator.history;

import org.jspecify.annotations.NullMarked;

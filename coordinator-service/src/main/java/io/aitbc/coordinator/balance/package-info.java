/**
 * Who gets the next task, among the agents that may have it. Pure. A strategy is a value; what it remembers between choices lives
 * in the {@link io.aitbc.coordinator.balance.Selection}s it makes, each owned by the thread that asked for it.
 */
@NullMarked
package io.aitbc.coordinator.balance;

import org.jspecify.annotations.NullMarked;

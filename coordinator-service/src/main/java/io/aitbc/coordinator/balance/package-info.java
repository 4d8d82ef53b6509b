/**
 * Selection of an agent among those eligible for a task. Pure. A strategy is a value; its state between choices lives in the
 * {@link io.aitbc.coordinator.balance.Selection}s it creates, each owned by the thread that requested it.
 */
@NullMarked
package io.aitbc.coordinator.balance;

import org.jspecify.annotations.NullMarked;

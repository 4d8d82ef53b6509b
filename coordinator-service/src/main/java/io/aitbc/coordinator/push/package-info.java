/**
 * Delivery of assignments to agents with an HTTP endpoint. The coordinator that monitors an agent claims its assignments, and posts them.
 * {@link io.aitbc.coordinator.push.PushOutcome} decides what a response means.
 */
@NullMarked
package io.aitbc.coordinator.push;

import org.jspecify.annotations.NullMarked;

/**
 * Reservation and publication of assignments. A placement is reserved in Redis, which checks the agent's capacity and that no other attempt
 * is live, then published to the agent's topic. Thread-safe and non-blocking.
 */
@NullMarked
package io.aitbc.coordinator.assign;

import org.jspecify.annotations.NullMarked;

/**
 * From a placement to an assignment in the agent's hands: reserved in Redis, which judges capacity and that no other attempt is
 * live, then published to the agent's topic. May be used by any thread; nothing here waits.
 */
@NullMarked
package io.aitbc.coordinator.assign;

import org.jspecify.annotations.NullMarked;

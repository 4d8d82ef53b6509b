/**
 * Who is there and how they are: agents in Redis, heartbeats in, the live view of who may get work, who is silent for too long.
 * Heartbeats are keyed by agent, so the thread {@code heartbeats} of exactly one coordinator watches over an agent at a time. While
 * Redis is away heartbeats are kept in Kafka and the view stays as it was.
 */
@NullMarked
package io.aitbc.coordinator.registry;

import org.jspecify.annotations.NullMarked;

/**
 * Who is there and how they are: agents in Redis, heartbeats in, the live view of who may get work, who is silent for too long.
 * Heartbeats are keyed by agent, so the thread {@code heartbeats} of exactly one coordinator watches over an agent at a time. The thread
 * {@code agent-view} follows the notices that every change gives, and {@code topic-removal} clears up after agents that left. While Redis
 * is away heartbeats are kept in Kafka and the view stays as it was.
 */
@NullMarked
package io.aitbc.coordinator.registry;

import org.jspecify.annotations.NullMarked;

/**
 * Agent registry: agents in Redis, incoming heartbeats, the live view of agents that may get work, and detection of silent agents.
 * Heartbeats are keyed by agent, so the thread {@code heartbeats} of exactly one coordinator monitors an agent at a time. The thread {@code
 * agent-view} follows the notices published for every change, and {@code topic-removal} cleans up after deregistered agents. While Redis is
 * unavailable, heartbeats stay in Kafka and the view is frozen.
 */
@NullMarked
package io.aitbc.coordinator.registry;

import org.jspecify.annotations.NullMarked;

/**
 * Write an agent in a few lines: {@link AgentWorker} registers by its heartbeats, consumes the agent's topic, runs a {@link Handler}
 * for each assignment, and reports. Nothing but Kafka is needed.
 *
 * <p>The thread {@code agent-<id>} owns the consumer and all that is known of offsets; handlers run on threads of their own, as many
 * as the capacity; the thread {@code heartbeat-<id>} sends signs of life.
 */
@NullMarked
package io.aitbc.worker;

import org.jspecify.annotations.NullMarked;

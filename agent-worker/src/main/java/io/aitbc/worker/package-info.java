/**
 * Write an agent in a few lines: {@link AgentWorker} registers by its heartbeats, consumes the agent's topic, runs a {@link Handler}
 * for each assignment, and reports. Nothing but Kafka is needed.
 *
 * <p>The thread {@code agent-<id>} owns the consumer and all that is known of offsets; handlers run on threads of their own, as many
 * at once as the capacity; the thread {@code results-<id>} sends again what Kafka refused; the thread {@code heartbeat-<id>} sends
 * signs of life. If the first or the last dies, the agent ends and says so in the log. Callbacks on the producer's thread only leave
 * word for one of these.
 */
@NullMarked
package io.aitbc.worker;

import org.jspecify.annotations.NullMarked;

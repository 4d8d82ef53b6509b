/**
 * A library for writing agents. {@link AgentWorker} registers through heartbeats, consumes the agent's topic, runs a {@link
 * Handler} for each assignment, and reports the results. It needs only Kafka.
 *
 * <p>The thread {@code agent-<id>} owns the consumer and all offset state. Handlers run on their own threads, up to the agent's
 * capacity. The thread {@code results-<id>} retries results that Kafka did not accept; the thread {@code heartbeat-<id>} sends
 * heartbeats. If the consumer or heartbeat thread dies, the agent stops and logs the cause. Callbacks on the producer's thread
 * only hand over to these threads.
 */
@NullMarked
package io.aitbc.worker;

import org.jspecify.annotations.NullMarked;

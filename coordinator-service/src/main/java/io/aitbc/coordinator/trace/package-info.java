/**
 * One trace per task, from submission through matching and the agent to the settled result, in the {@code traceparent} headers of
 * Kafka records (W3C). An incoming header is always passed on, whether or not this coordinator exports its own spans.
 */
@NullMarked
package io.aitbc.coordinator.trace;

import org.jspecify.annotations.NullMarked;

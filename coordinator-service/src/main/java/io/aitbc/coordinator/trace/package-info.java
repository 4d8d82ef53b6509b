/**
 * One trace for each task, from its submission over match and agent to the settled result, in the {@code traceparent} headers of Kafka's
 * records (W3C). What came with a header goes on with it, whether or not this coordinator tells anyone of its own part.
 */
@NullMarked
package io.aitbc.coordinator.trace;

import org.jspecify.annotations.NullMarked;

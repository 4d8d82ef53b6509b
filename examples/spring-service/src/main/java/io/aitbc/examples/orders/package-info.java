/** A service whose orders are packed by agents: it submits tasks over Kafka, and learns from {@code tasks.events} how they ended. */
@NullMarked
package io.aitbc.examples.orders;

import org.jspecify.annotations.NullMarked;

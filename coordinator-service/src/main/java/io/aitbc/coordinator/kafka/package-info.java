/** The edge to Kafka that several features share: the topics, the clients' settings, and threads that read a topic for ever. */
@NullMarked
package io.aitbc.coordinator.kafka;

import org.jspecify.annotations.NullMarked;

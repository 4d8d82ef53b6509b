/** Shared access to Kafka: topics, client settings, and consumer threads that run until shutdown. */
@NullMarked
package io.aitbc.coordinator.kafka;

import org.jspecify.annotations.NullMarked;

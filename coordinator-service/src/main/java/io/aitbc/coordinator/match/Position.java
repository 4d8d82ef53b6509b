package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;

/** Where a task stands in Kafka: an offset in a partition of the topic of its priority. */
public record Position(Priority priority, int partition, long offset) {}

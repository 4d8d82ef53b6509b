package io.aitbc.coordinator.kafka;

/** The id of this process among the coordinators, new at each start. It is also its {@code group.instance.id} in all consumer groups. */
public record CoordinatorId(String text) {}

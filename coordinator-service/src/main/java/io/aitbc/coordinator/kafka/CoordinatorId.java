package io.aitbc.coordinator.dispatch;

/** The id of this process among the coordinators, new at each start. */
public record CoordinatorId(String text) {}

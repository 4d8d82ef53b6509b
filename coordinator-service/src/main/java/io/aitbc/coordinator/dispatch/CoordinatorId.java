package io.aitbc.coordinator.dispatch;

/** The name of this process among the coordinators, made anew at each start. */
public record CoordinatorId(String text) {}

package io.aitbc.coordinator.dispatch;

/** The name of this process among the coordinators, made anew at each start. */
record CoordinatorId(String text) {}

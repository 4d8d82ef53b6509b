package io.aitbc.coordinator.match;

/** The decision that an agent shall have a task, made on what was known. The reservation judges whether it can stand. */
public record Placement(WaitingTask waiting, String agentId) {}

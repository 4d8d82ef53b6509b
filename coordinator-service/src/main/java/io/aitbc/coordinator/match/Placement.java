package io.aitbc.coordinator.match;

/** The decision to give a task to an agent, based on a snapshot. The reservation confirms or rejects it. */
public record Placement(WaitingTask waiting, String agentId) {}

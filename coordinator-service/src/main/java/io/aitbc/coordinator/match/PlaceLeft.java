package io.aitbc.coordinator.match;

/** A free place of an agent, left to an aged task that waits at another coordinator. */
public record PlaceLeft(String coordinatorId, String agentId) {}

package io.aitbc.coordinator.match;

/** A free slot of an agent, yielded to an aged task at another coordinator. */
public record SlotOffer(String coordinatorId, String agentId) {}

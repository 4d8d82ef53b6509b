package io.aitbc.coordinator.balance;

import io.aitbc.coordinator.agent.Agent;

/**
 * One thread's view of an agent while it places tasks: the latest known state, and the current load. The load is the registry's
 * last count plus the placements the registry has not answered yet.
 */
public final class Candidate {
    private Agent agent;
    private int heldCount;
    private int pendingPlacements;
    /** Free slots yielded to another coordinator, which has not used them yet. */
    private int yieldedSlots;
    /** How many more assignments the open claims of a pulling agent request, according to the registry's answers. */
    private int openSlots;

    public Candidate(Agent agent) {
        this.agent = agent;
        this.heldCount = agent.inflight();
        this.openSlots = agent.openSlots();
    }

    public Agent agent() {
        return agent;
    }

    public String id() {
        return agent.id();
    }

    public int held() {
        return heldCount + pendingPlacements;
    }

    public boolean hasRoom() {
        return held() + yieldedSlots < agent.capacity()
                && (!agent.usesClaims() || pendingPlacements + yieldedSlots < openSlots);
    }

    /** Applies a newer state, including the count of assignments and of open slots. */
    public void update(Agent newer) {
        agent = newer;
        updateHeldCount(newer.inflight());
        openSlots = newer.openSlots();
    }

    /** Applies a newer state, except the count of assignments. */
    public void updateState(Agent newer) {
        agent = newer;
    }

    /** Records that a placement on this agent is sent to the registry. */
    public void placed() {
        pendingPlacements++;
    }

    /** Records that the registry answered a placement, whatever the outcome. */
    public void placementAnswered() {
        // The answer may belong to a placement from before the agent left and came back.
        pendingPlacements = Math.max(0, pendingPlacements - 1);
    }

    /** Discards outstanding placements; no answers will arrive. */
    public void forgetPlacements() {
        pendingPlacements = 0;
    }

    /** Records the registry's answer to a placement, with its count of assignments, including this one if granted. */
    public void placementAnswered(int count, boolean granted) {
        placementAnswered();
        openSlots -= granted ? 1 : 0;
        updateHeldCount(count, count - heldCount - 1);
    }

    /** Records that the registry refused a placement because the agent is full, with its count of assignments. */
    public void placementRefused(int count) {
        placementAnswered(count, false);
        // Its claims have ended, or other coordinators have used them. The registry announces the actual count.
        openSlots = 0;
    }

    /** Applies a new count from the registry, including assignments by other coordinators. */
    public void updateHeldCount(int count) {
        updateHeldCount(count, count - heldCount);
    }

    /** Applies a new count from the registry of the assignments that open claims request. */
    public void updateOpenSlots(int slots) {
        openSlots = slots;
    }

    private void updateHeldCount(int count, int assignedByOthers) {
        heldCount = count;
        openSlots -= Math.max(0, assignedByOthers);
        yieldedSlots = Math.max(0, yieldedSlots - Math.max(0, assignedByOthers));
    }

    /** Yields a free slot to another coordinator. */
    public void yieldSlot() {
        yieldedSlots++;
    }

    /** Reclaims a slot that was yielded for long enough. */
    public void reclaimSlot() {
        yieldedSlots = Math.max(0, yieldedSlots - 1);
    }

    /** The number of yielded slots that the other coordinators have not used yet. */
    public int yieldedSlots() {
        return yieldedSlots;
    }
}

package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.agent.Agent;
import java.util.HashMap;
import java.util.Map;

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
    /** What assignments take of resources, in thousandths: according to the registry, and of placements it has not answered yet. */
    private final Map<String, Long> resourcesInUse;

    private final Map<String, Long> resourcesPending = new HashMap<>(0);

    public Candidate(Agent agent) {
        this.agent = agent;
        this.resourcesInUse = new HashMap<>(agent.resourcesInUse());
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
        return freeSlots() > 0;
    }

    /** Whether it has room for a task that takes resources. */
    public boolean hasRoom(Resources needed) {
        return hasRoom() && lacking(needed) == 0;
    }

    /** How many more assignments it may hold. */
    public int freeSlots() {
        int free = agent.capacity() - held() - yieldedSlots;
        return agent.usesClaims() ? Math.min(free, openSlots - pendingPlacements - yieldedSlots) : free;
    }

    /** The part of what a task takes that is not left: of the resource of which most lacks, from 0 to 1. */
    public double lacking(Resources needed) {
        double most = 0;
        for (Map.Entry<String, Long> one : needed.thousandths().entrySet()) {
            long lacks = one.getValue() - left(one.getKey());
            most = Math.max(most, (double) lacks / one.getValue());
        }
        return Math.min(1, most);
    }

    private long left(String resource) {
        return agent.registration().resources().thousandths().getOrDefault(resource, 0L)
                - resourcesInUse.getOrDefault(resource, 0L)
                - resourcesPending.getOrDefault(resource, 0L);
    }

    /**
     * The part of the agent that is in use: of its slots, or of the resource of which most is, as in dominant resource fairness (Ghodsi et al., NSDI
     * 2011).
     */
    public double usedShare() {
        double most = (double) held() / agent.capacity();
        for (Map.Entry<String, Long> one :
                agent.registration().resources().thousandths().entrySet()) {
            most = Math.max(most, 1 - (double) left(one.getKey()) / one.getValue());
        }
        return most;
    }

    /** Applies a newer state, including the count of assignments and of open slots. */
    public void update(Agent newer) {
        agent = newer;
        updateHeldCount(newer.inflight());
        openSlots = newer.openSlots();
        resourcesInUse.clear();
        resourcesInUse.putAll(newer.resourcesInUse());
    }

    /** Applies a newer state, except the count of assignments. */
    public void updateState(Agent newer) {
        agent = newer;
    }

    /** Applies what the registry says of a resource, in thousandths. */
    public void updateResourceInUse(String resource, long amount) {
        resourcesInUse.put(resource, amount);
    }

    /** Records that the registry refused a placement for want of a resource: as long as it says nothing else, none is left. */
    public void resourceRefused(String resource, long needed) {
        if (left(resource) >= needed) {
            resourcesInUse.merge(resource, left(resource), Long::sum);
        }
    }

    /** Records that a placement on this agent is sent to the registry. */
    public void placed(Resources taken) {
        pendingPlacements++;
        taken.thousandths().forEach((name, amount) -> resourcesPending.merge(name, amount, Long::sum));
    }

    /** Records that the registry answered a placement, whatever the outcome. What it takes of resources is part of the registry's next count. */
    public void placementAnswered(Resources taken) {
        // The answer may belong to a placement from before the agent left and came back.
        pendingPlacements = Math.max(0, pendingPlacements - 1);
        taken.thousandths()
                .forEach((name, amount) -> resourcesPending.computeIfPresent(
                        name, (one, pending) -> pending > amount ? pending - amount : null));
    }

    /** Discards outstanding placements; no answers will arrive. */
    public void forgetPlacements() {
        pendingPlacements = 0;
        resourcesPending.clear();
    }

    /** Records the registry's answer to a placement, with its count of assignments, including this one if granted. */
    public void placementAnswered(Resources taken, int count, boolean granted) {
        placementAnswered(taken);
        openSlots -= granted ? 1 : 0;
        updateHeldCount(count, count - heldCount - 1);
    }

    /** Records that the registry refused a placement because the agent is full, with its count of assignments. */
    public void placementRefused(Resources taken, int count) {
        placementAnswered(taken, count, false);
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

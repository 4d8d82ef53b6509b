package io.aitbc.coordinator.balance;

import io.aitbc.coordinator.agent.Agent;

/**
 * An agent as one thread sees it while it places tasks: the last known facts, and how much it holds by now, which is what the
 * registry counted last plus the placements that the registry has not answered yet.
 */
public final class Candidate {
    private Agent agent;
    private int counted;
    private int unanswered;

    public Candidate(Agent agent) {
        this.agent = agent;
        this.counted = agent.inflight();
    }

    public Agent agent() {
        return agent;
    }

    public String id() {
        return agent.id();
    }

    public int held() {
        return counted + unanswered;
    }

    public boolean hasRoom() {
        return held() < agent.capacity();
    }

    /** Takes over newer facts, the count of what it holds among them. */
    public void update(Agent newer) {
        agent = newer;
        counted = newer.inflight();
    }

    /** Takes over newer facts, but for the count of what it holds. */
    public void note(Agent newer) {
        agent = newer;
    }

    /** A placement on this agent goes to the registry. */
    public void placed() {
        unanswered++;
    }

    /** The registry answered a placement, whichever way. */
    public void answered() {
        // An answer may be for a placement from before the agent left and came back.
        unanswered = Math.max(0, unanswered - 1);
    }

    /** No placement will be answered any more. */
    public void forgetPlacements() {
        unanswered = 0;
    }

    /** The registry counted anew, what other coordinators gave the agent included. */
    public void counted(int count) {
        counted = count;
    }
}

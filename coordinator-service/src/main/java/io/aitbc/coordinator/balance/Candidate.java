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
    /** Free places that are left to another coordinator, which has not taken them yet. */
    private int left;

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
        return held() + left < agent.capacity();
    }

    /** Takes over newer facts, the count of what it holds among them. */
    public void update(Agent newer) {
        agent = newer;
        counted(newer.inflight());
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

    /** The registry answered a placement and counted what the agent holds, this placement included if it was granted. */
    public void answered(int count) {
        answered();
        counted(count, count - counted - 1);
    }

    /** The registry counted anew, what other coordinators gave the agent included. */
    public void counted(int count) {
        counted(count, count - counted);
    }

    private void counted(int count, int givenByOthers) {
        counted = count;
        left = Math.max(0, left - Math.max(0, givenByOthers));
    }

    /** Leaves a free place to another coordinator. */
    public void leave() {
        left++;
    }

    /** A place was left for long enough. */
    public void takeBack() {
        left = Math.max(0, left - 1);
    }

    /** How many places are left to others that have not taken them. */
    public int left() {
        return left;
    }
}

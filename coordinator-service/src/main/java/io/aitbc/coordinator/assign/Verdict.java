package io.aitbc.coordinator.assign;

import io.aitbc.coordinator.match.Placement;
import java.time.Instant;

/**
 * What the reservation says of a placement.
 *
 * @param agentId who holds the attempt, for GRANTED and LIVE
 * @param held how many assignments the agent of the placement holds now
 * @param assignedAt when the attempt was given out, for GRANTED and LIVE
 */
public record Verdict(Placement placement, Ruling ruling, String agentId, int held, Instant assignedAt) {
    public enum Ruling {
        /** The agent has it: publish. */
        GRANTED,
        /** An agent has had this very attempt since earlier: publish again, to that agent. */
        LIVE,
        /** An agent has this attempt, granted for another record of the same task: nothing to do, that record is the one to publish. */
        DUPLICATE,
        /** The task has ended, or a later attempt exists: nothing to do. */
        ENDED,
        /** The agent holds as much as it may. */
        FULL,
        /** The agent is not there, or not active, any more. */
        UNAVAILABLE
    }

    /** Whether an agent has the attempt, and is to hear of it. */
    public boolean isHeld() {
        return ruling == Ruling.GRANTED || ruling == Ruling.LIVE;
    }
}

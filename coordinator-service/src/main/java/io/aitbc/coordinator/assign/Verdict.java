package io.aitbc.coordinator.assign;

import io.aitbc.coordinator.match.Placement;
import java.time.Instant;
import java.util.Map;

/**
 * The outcome of a reservation.
 *
 * @param agentId the holder of the attempt, for GRANTED and LIVE, or who held it, for WAS_HELD; otherwise empty
 * @param shared whether the holder has no topic of its own: its assignments are published to the shared one
 * @param held how many assignments the placement's agent holds after the batch, less those that the batch grants it after this one
 * @param assignedAt when the attempt was assigned, for GRANTED, LIVE and WAS_HELD
 * @param uses units of limits that the attempt holds
 * @param why the limit that refused it, for LIMITED, or the resource as one, see {@link io.aitbc.coordinator.limit.AgentResource}; the error as JSON, for FAILED; otherwise empty
 */
public record Verdict(
        Placement placement,
        Ruling ruling,
        String agentId,
        boolean shared,
        int held,
        Instant assignedAt,
        Map<String, Long> uses,
        String why) {
    /** A verdict that no limit is about. */
    public Verdict(Placement placement, Ruling ruling, String agentId, boolean shared, int held, Instant assignedAt) {
        this(placement, ruling, agentId, shared, held, assignedAt, placement.uses(), "");
    }

    public enum Ruling {
        /** Granted to the agent: publish. */
        GRANTED,
        /** Granted earlier, to an agent that still holds it: publish again, to that agent. */
        LIVE,
        /** Granted earlier, for another record of the same task: nothing to do, that record is the one to publish. */
        DUPLICATE,
        /** The task has ended with another attempt, or a later one exists: nothing to do. */
        ENDED,
        /** The task has ended with this attempt, which an agent held: only its events remain to be published. */
        WAS_HELD,
        /** The task was cancelled while it waited for this attempt: only its events remain to be published. */
        CANCELLED,
        /** The task expired while it waited for this attempt: only its events remain to be published. */
        EXPIRED,
        /** The task failed while it waited for this attempt: only its events and its dead letter remain to be published. */
        FAILED,
        /** The agent has no free capacity. */
        FULL,
        /** The agent is missing or no longer active. */
        UNAVAILABLE,
        /** A limit has not enough units left, or the agent has not enough of a resource. */
        LIMITED,
        /** The caller does not know the present definitions of limits. */
        OUTDATED
    }

    /** Whether an agent holds the attempt, and an assignment must be published. */
    public boolean isHeld() {
        return ruling == Ruling.GRANTED || ruling == Ruling.LIVE;
    }
}

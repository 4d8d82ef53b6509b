package io.aitbc.coordinator.agent;

import java.time.Duration;

/**
 * When an agent counts as well enough for new tasks.
 *
 * @param heartbeatInterval silence up to this long costs no health
 * @param heartbeatTimeout silence of this length leaves no health, and the agent is stale; zero: silence costs nothing
 * @param minHealthScore below it an agent gets no tasks, 0.0 to 1.0
 * @param maxCpu at or above this share of the processor an agent gets no tasks, 0.0 to 1.0; above 1 there is no limit
 * @param maxMemory likewise for memory
 */
public record HealthPolicy(
        Duration heartbeatInterval, Duration heartbeatTimeout, double minHealthScore, double maxCpu, double maxMemory) {

    public HealthPolicy {
        if (!heartbeatTimeout.isZero() && heartbeatTimeout.compareTo(heartbeatInterval) <= 0) {
            throw new IllegalArgumentException("heartbeat timeout " + heartbeatTimeout
                    + " must be longer than the heartbeat interval " + heartbeatInterval + ", or 0 for none");
        }
    }

    /** Whether agents that are silent for too long become stale. */
    public boolean expectsHeartbeats() {
        return !heartbeatTimeout.isZero();
    }
}

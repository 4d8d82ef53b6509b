package io.aitbc.coordinator.agent;

import java.time.Duration;

/**
 * Thresholds that decide whether an agent is healthy enough for new tasks.
 *
 * @param heartbeatInterval silence up to this long does not reduce health
 * @param heartbeatTimeout silence of this length reduces health to 0 and makes the agent stale; zero: silence has no effect
 * @param minHealthScore below it an agent gets no tasks, 0.0 to 1.0
 * @param maxCpu CPU utilisation at or above which an agent gets no tasks, 0.0 to 1.0; above 1: no limit
 * @param maxMemory likewise for memory
 */
public record HealthPolicy(
        Duration heartbeatInterval, Duration heartbeatTimeout, double minHealthScore, double maxCpu, double maxMemory) {

    public HealthPolicy {
        if (!heartbeatTimeout.isZero() && heartbeatTimeout.compareTo(heartbeatInterval) <= 0) {
            throw new IllegalArgumentException("heartbeat timeout " + heartbeatTimeout
                    + " must be longer than the heartbeat interval " + heartbeatInterval + ", or 0 to disable it");
        }
    }

    /** Whether agents become stale when they are silent for too long. */
    public boolean expectsHeartbeats() {
        return !heartbeatTimeout.isZero();
    }
}

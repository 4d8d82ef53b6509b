package io.aitbc.coordinator.agent;

import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * The process that sends an agent's heartbeats.
 *
 * @param clockAhead by how much its clock is ahead of the time of receipt, negative if behind; null if not reported
 * @param instanceId null if not reported
 * @param rivalId another process with the same agent id, which sent a heartbeat again after this one had replaced it
 * @param rivalSeenAt when the two last alternated
 */
public record Sender(
        @Nullable Duration clockAhead,
        @Nullable String instanceId,
        @Nullable String rivalId,
        @Nullable Instant rivalSeenAt) {
    public static final Sender UNKNOWN = new Sender(null, null, null, null);

    /** Whether two processes used the same agent id within a period before now. */
    public boolean isContested(Instant now, Duration within) {
        return rivalSeenAt != null && rivalSeenAt.plus(within).isAfter(now);
    }
}

package io.aitbc.coordinator.agent;

import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * The process that sends an agent's heartbeats.
 *
 * @param clockAhead by how much its clock is ahead of the time of receipt, negative if behind; null when it does not say
 * @param instanceId null when it does not say
 * @param rivalId another process of the same agent id, which spoke again after this one had taken its place
 * @param rivalSeenAt when the two last took turns
 */
public record Sender(
        @Nullable Duration clockAhead,
        @Nullable String instanceId,
        @Nullable String rivalId,
        @Nullable Instant rivalSeenAt) {
    public static final Sender UNKNOWN = new Sender(null, null, null, null);

    /** Whether two processes went by the same agent id within some time before now. */
    public boolean isContested(Instant now, Duration within) {
        return rivalSeenAt != null && rivalSeenAt.plus(within).isAfter(now);
    }
}

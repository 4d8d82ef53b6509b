package io.aitbc.coordinator.balance;

import io.aitbc.coordinator.agent.TrackRecord;
import java.util.function.ToDoubleFunction;

/**
 * By the time an agent is expected to take: how long it took lately, times how much it would have to do. The average is
 * peak-sensitive (Finagle's {@code PeakEwma}): what is longer counts at once, what is shorter little by little, and without results it
 * fades away, so that an agent that was slow is tried again. An attempt in vain counts as ten times as long, from ten seconds to a
 * minute: or the agent that fails at once would be the fastest of all. One of which nothing is known is tried first, with a single task.
 *
 * <p>All averages fade at the same pace, so the order of two agents changes only when one of them does. The rank is therefore the
 * logarithm of the product, as it would be at a fixed time.
 */
final class ResponseTime implements ToDoubleFunction<Candidate> {
    /** More than the logarithm of any expected time. */
    private static final double BEYOND = 1e12;

    private static final double DECAY_MS = TrackRecord.RESPONSE_DECAY.toMillis();

    @Override
    public double applyAsDouble(Candidate candidate) {
        TrackRecord track = candidate.agent().track();
        if (track.responseMs() <= 0) {
            return candidate.held() == 0 ? -BEYOND : BEYOND + candidate.held();
        }
        return Math.log(track.responseMs() * (candidate.held() + 1))
                + track.at().toEpochMilli() / DECAY_MS;
    }
}

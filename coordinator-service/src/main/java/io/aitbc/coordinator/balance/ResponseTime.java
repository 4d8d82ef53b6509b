package io.aitbc.coordinator.balance;

import io.aitbc.coordinator.agent.TrackRecord;
import java.util.function.ToDoubleFunction;

/**
 * Ranks agents by expected completion time: the recent response time, times the number of tasks the agent would then hold. The average
 * is peak-sensitive (Finagle's {@code PeakEwma}): longer times count at once, shorter ones gradually. Without results it decays, so
 * that an agent that was slow is tried again. A failed attempt counts as ten times the average so far, within bounds (see {@link
 * TrackRecord}); otherwise an agent that fails at once would rank as the fastest. Agents without a track record come first, with
 * a single task.
 *
 * <p>All averages decay at the same rate, so the order of two agents changes only when one of them does. The rank is therefore
 * the logarithm of the product, as of a fixed time.
 */
final class ResponseTime implements ToDoubleFunction<Candidate> {
    /** Greater than the logarithm of any expected time. */
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

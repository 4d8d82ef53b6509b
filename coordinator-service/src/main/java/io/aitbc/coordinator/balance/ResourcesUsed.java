package io.aitbc.coordinator.balance;

import java.util.function.ToDoubleFunction;

/**
 * Ranks agents by what is in use of them: a weighted sum, as in scheduler scoring (Kubernetes' {@code LeastAllocated}), of CPU (0.4), memory (0.3) and
 * {@link Candidate#usedShare} (0.3). CPU and memory only change with heartbeats. The last one changes with each assignment, which spreads
 * tasks between heartbeats.
 */
final class ResourcesUsed implements ToDoubleFunction<Candidate> {
    @Override
    public double applyAsDouble(Candidate candidate) {
        return 0.4 * candidate.agent().cpu() + 0.3 * candidate.agent().memory() + 0.3 * candidate.usedShare();
    }
}

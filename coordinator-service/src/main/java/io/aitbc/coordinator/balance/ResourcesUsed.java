package io.aitbc.coordinator.balance;

import java.util.function.ToDoubleFunction;

/**
 * Ranks agents by resource utilisation: a weighted sum, as in scheduler scoring (Kubernetes' {@code LeastAllocated}), of CPU
 * (0.4), memory (0.3) and capacity (0.3). CPU and memory only change with heartbeats. The capacity share changes with each
 * assignment, which spreads tasks between heartbeats.
 */
final class ResourcesUsed implements ToDoubleFunction<Candidate> {
    @Override
    public double applyAsDouble(Candidate candidate) {
        double capacityUsed = (double) candidate.held() / candidate.agent().capacity();
        return 0.4 * candidate.agent().cpu() + 0.3 * candidate.agent().memory() + 0.3 * capacityUsed;
    }
}

package io.aitbc.coordinator.balance;

import java.util.function.ToDoubleFunction;

/**
 * By how much of itself an agent uses: a weighted sum, as of the scores of schedulers (Kubernetes' {@code LeastAllocated}), here of
 * processor (0.4), memory (0.3) and capacity (0.3). What a heartbeat said of processor and memory stands until the next; the share
 * of capacity moves with each assignment, and so spreads what comes between.
 */
final class ResourcesUsed implements ToDoubleFunction<Candidate> {
    @Override
    public double applyAsDouble(Candidate candidate) {
        double capacityUsed = (double) candidate.held() / candidate.agent().capacity();
        return 0.4 * candidate.agent().cpu() + 0.3 * candidate.agent().memory() + 0.3 * capacityUsed;
    }
}

package io.aitbc.coordinator.balance;

import java.util.function.ToDoubleFunction;

/**
 * Ranks agents by the number of unsettled assignments; among equals, by the share of capacity in use. Known from load balancers:
 * {@code least_conn} in nginx, {@code leastconn} in HAProxy.
 */
final class LeastConnections implements ToDoubleFunction<Candidate> {
    @Override
    public double applyAsDouble(Candidate candidate) {
        // The share is below 1, so it only breaks ties.
        return candidate.held() + (double) candidate.held() / (candidate.agent().capacity() + 1.0);
    }
}

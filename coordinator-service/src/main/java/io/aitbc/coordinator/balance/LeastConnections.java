package io.aitbc.coordinator.balance;

import java.util.function.ToDoubleFunction;

/**
 * By how many unsettled assignments an agent holds; of equals, by the share of its capacity in use. The rule is known from load
 * balancers: {@code least_conn} of nginx, {@code leastconn} of HAProxy.
 */
final class LeastConnections implements ToDoubleFunction<Candidate> {
    @Override
    public double applyAsDouble(Candidate candidate) {
        // The share is below 1, so it decides only among equals.
        return candidate.held() + (double) candidate.held() / (candidate.agent().capacity() + 1.0);
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Requirements;
import java.time.Instant;
import java.util.Objects;

/**
 * An agent that is kept free of other tasks, until enough of its resources is left for one that has waited long.
 *
 * @param requirements of that task
 */
public record KeptAgent(String agentId, Requirements requirements, Instant since) {
    public KeptAgent {
        Objects.requireNonNull(agentId, "agentId");
        Objects.requireNonNull(requirements, "requirements");
        Objects.requireNonNull(since, "since");
    }
}

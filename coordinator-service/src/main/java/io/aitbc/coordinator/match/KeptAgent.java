package io.aitbc.coordinator.match;

import io.aitbc.contracts.Resources;
import java.time.Instant;
import java.util.Objects;

/**
 * An agent that is kept free of other tasks, until enough of its resources is left for one that has waited long.
 *
 * @param resources what that task takes
 */
public record KeptAgent(String agentId, Resources resources, Instant since) {
    public KeptAgent {
        Objects.requireNonNull(agentId, "agentId");
        Objects.requireNonNull(resources, "resources");
        Objects.requireNonNull(since, "since");
    }
}

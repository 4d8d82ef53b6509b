package io.aitbc.coordinator.match;

import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.limit.AgentResource;
import java.util.Map;

/**
 * The decision to give a task to an agent, based on a snapshot. The reservation confirms or rejects it.
 *
 * @param uses units of limits that the attempt is to hold
 */
public record Placement(WaitingTask waiting, String agentId, Map<String, Long> uses) {
    /** A placement of a task that no limits apply to but those that it names. */
    public Placement(WaitingTask waiting, String agentId) {
        this(waiting, agentId, waiting.task().uses());
    }

    /** What the attempt is to hold: with resources of the agent. */
    public Map<String, Long> held() {
        return AgentResource.added(uses, resources(), agentId);
    }

    Resources resources() {
        return waiting.task().requirements().resources();
    }
}

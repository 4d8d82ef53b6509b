package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Capability;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;

/**
 * Eligibility of an agent for a task, in two parts: static properties ({@link #meetsRequirements}), which change rarely, and
 * current state ({@link #isAvailable}, and a score of at least {@link #minHealth}), which changes often.
 */
public final class Eligibility {
    private Eligibility() {}

    /**
     * Whether an agent has the static properties that a task requires.
     *
     * @param regionRequired false if the region is only a preference, which the strategy handles
     */
    public static boolean meetsRequirements(Registration agent, Requirements task, boolean regionRequired) {
        return (task.agentId() == null || task.agentId().equals(agent.agentId()))
                && (task.agentType() == null || task.agentType().equals(agent.agentType()))
                && Capability.meetsAll(agent.capabilities(), task.capabilities())
                && agent.services().containsAll(task.services())
                && agent.tags().containsAll(task.tags())
                && agent.resources().cover(task.resources())
                && (task.chainId() == null || task.chainId().equals(agent.chainId()))
                && (!regionRequired || task.region() == null || task.region().equals(agent.region()));
    }

    /** Whether an agent's state allows new tasks, apart from its health. It may still be full. */
    public static boolean isAvailable(Agent agent, HealthPolicy policy) {
        return agent.status() == AgentStatus.ACTIVE
                && agent.unreached() == null
                && agent.cpu() < policy.maxCpu()
                && agent.memory() < policy.maxMemory();
    }

    /** The minimum health score an agent needs for a task. */
    public static double minHealth(Requirements task, HealthPolicy policy) {
        return task.minHealthScore() == null
                ? policy.minHealthScore()
                : Math.max(policy.minHealthScore(), task.minHealthScore());
    }
}

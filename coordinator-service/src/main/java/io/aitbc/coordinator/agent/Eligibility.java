package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Capability;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;

/**
 * Whether an agent may take a task, in two halves: what it is (suits), which changes rarely, and how it is (ready, and healthy
 * enough), which does not.
 */
public final class Eligibility {
    private Eligibility() {}

    /**
     * Whether an agent has all that a task requires of its kind.
     *
     * @param regionBinds false when the region is a preference that the strategy looks after
     */
    public static boolean suits(Registration agent, Requirements task, boolean regionBinds) {
        return (task.agentId() == null || task.agentId().equals(agent.agentId()))
                && (task.agentType() == null || task.agentType().equals(agent.agentType()))
                && Capability.meetsAll(agent.capabilities(), task.capabilities())
                && agent.services().containsAll(task.services())
                && agent.tags().containsAll(task.tags())
                && (task.chainId() == null || task.chainId().equals(agent.chainId()))
                && (!regionBinds || task.region() == null || task.region().equals(agent.region()));
    }

    /** Whether an agent is in a state to take new tasks, its health apart. It may still be full. */
    public static boolean ready(Agent agent, HealthPolicy policy) {
        return agent.status() == AgentStatus.ACTIVE
                && agent.cpu() < policy.maxCpu()
                && agent.memory() < policy.maxMemory();
    }

    /** The lowest health score with which an agent may take a task. */
    public static double minHealth(Requirements task, HealthPolicy policy) {
        return task.minHealthScore() == null
                ? policy.minHealthScore()
                : Math.max(policy.minHealthScore(), task.minHealthScore());
    }
}

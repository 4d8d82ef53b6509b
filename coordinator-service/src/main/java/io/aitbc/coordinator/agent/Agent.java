package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Registration;
import java.time.Instant;
import java.util.Map;

/**
 * An agent as the registry last saw it.
 *
 * @param loadMetrics as the agent sent them
 * @param failureShare which share of its recent results were failures, 0.0 to 1.0, as of {@code failureShareAt}
 * @param inflight how many unsettled assignments it holds
 */
public record Agent(
        Registration registration,
        AgentStatus status,
        Instant registeredAt,
        Instant lastHeartbeat,
        Map<String, Double> loadMetrics,
        double failureShare,
        Instant failureShareAt,
        int inflight) {

    public String id() {
        return registration.agentId();
    }

    public int capacity() {
        return registration.capacity();
    }

    /** The share of the processor in use, 0.0 to 1.0; 0 when the agent does not say. */
    public double cpu() {
        return fraction("cpu_usage", "cpu");
    }

    /** The share of memory in use, 0.0 to 1.0; 0 when the agent does not say. */
    public double memory() {
        return fraction("memory_usage", "memory");
    }

    private double fraction(String name, String shortName) {
        double value = loadMetrics.getOrDefault(name, loadMetrics.getOrDefault(shortName, 0.0));
        return Math.min(1.0, value > 1 ? value / 100 : value);
    }
}

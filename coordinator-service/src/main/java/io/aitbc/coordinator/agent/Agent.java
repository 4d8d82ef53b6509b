package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Registration;
import java.time.Instant;
import java.util.Map;

/**
 * An agent as the registry last saw it.
 *
 * @param lastHeartbeat when it was received, by the clocks of Kafka and the coordinators
 * @param loadMetrics as the agent sent them
 * @param sender what is known of the process that sends the heartbeats
 * @param inflight how many unsettled assignments it holds
 */
public record Agent(
        Registration registration,
        AgentStatus status,
        Instant registeredAt,
        Instant lastHeartbeat,
        Map<String, Double> loadMetrics,
        TrackRecord track,
        Sender sender,
        int inflight) {

    public String id() {
        return registration.agentId();
    }

    public int capacity() {
        return registration.capacity();
    }

    /** The share of the processor in use, 0.0 to 1.0; 0 when the agent does not say. */
    public double cpu() {
        return cpu(loadMetrics);
    }

    /** The share of memory in use, 0.0 to 1.0; 0 when the agent does not say. */
    public double memory() {
        return memory(loadMetrics);
    }

    /** The share of the processor or of memory in use, whichever is higher. */
    public static double load(Map<String, Double> metrics) {
        return Math.max(cpu(metrics), memory(metrics));
    }

    /** The same agent after another heartbeat that said nothing of its load. */
    public Agent heard(Instant at) {
        return new Agent(registration, status, registeredAt, at, loadMetrics, track, sender, inflight);
    }

    /** The same agent after another heartbeat, with what is known of its load. */
    public Agent heard(Instant at, double cpu, double memory) {
        Map<String, Double> load = Map.of("cpu_usage", cpu, "memory_usage", memory);
        return new Agent(registration, status, registeredAt, at, load, track, sender, inflight);
    }

    /** The same agent after more results. */
    public Agent tracked(TrackRecord newer) {
        return new Agent(registration, status, registeredAt, lastHeartbeat, loadMetrics, newer, sender, inflight);
    }

    /** The same agent with another number of unsettled assignments. */
    public Agent holding(int count) {
        return new Agent(registration, status, registeredAt, lastHeartbeat, loadMetrics, track, sender, count);
    }

    /** The share of the processor that metrics tell of, 0.0 to 1.0. */
    public static double cpu(Map<String, Double> metrics) {
        return fraction(metrics, "cpu_usage", "cpu");
    }

    /** The share of memory that metrics tell of, 0.0 to 1.0. */
    public static double memory(Map<String, Double> metrics) {
        return fraction(metrics, "memory_usage", "memory");
    }

    private static double fraction(Map<String, Double> metrics, String name, String shortName) {
        Double value = metrics.get(name);
        if (value == null) {
            value = metrics.getOrDefault(shortName, 0.0);
        }
        return Math.min(1.0, value > 1 ? value / 100 : value);
    }
}

package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Registration;
import java.time.Instant;
import java.util.Map;

/**
 * The registry's latest state of an agent.
 *
 * @param lastHeartbeat time of receipt, by the clocks of Kafka and the coordinators
 * @param loadMetrics as reported by the agent
 * @param sender the process that sends the heartbeats
 * @param inflight number of unsettled assignments
 * @param reached false for an agent with {@link Delivery#KAFKA} that registered over REST, until something of it arrives over Kafka
 * @param openSlots how many more assignments its open claims request; only for {@link Delivery#PULL}
 */
public record Agent(
        Registration registration,
        AgentStatus status,
        Instant registeredAt,
        Instant lastHeartbeat,
        Map<String, Double> loadMetrics,
        TrackRecord track,
        Sender sender,
        int inflight,
        boolean reached,
        int openSlots) {

    public String id() {
        return registration.agentId();
    }

    public int capacity() {
        return registration.capacity();
    }

    /** Whether it claims its assignments: at most as many as its open claims request are reserved for it. */
    public boolean isPulling() {
        return registration.delivery() == Delivery.PULL;
    }

    /** CPU utilisation, 0.0 to 1.0; 0 if not reported. */
    public double cpu() {
        return cpu(loadMetrics);
    }

    /** Memory utilisation, 0.0 to 1.0; 0 if not reported. */
    public double memory() {
        return memory(loadMetrics);
    }

    /** The higher of CPU and memory utilisation. */
    public static double load(Map<String, Double> metrics) {
        return Math.max(cpu(metrics), memory(metrics));
    }

    /** A copy after a heartbeat without load metrics. */
    public Agent withHeartbeat(Instant at) {
        return new Agent(
                registration, status, registeredAt, at, loadMetrics, track, sender, inflight, reached, openSlots);
    }

    /** A copy after a heartbeat with load metrics. */
    public Agent withHeartbeat(Instant at, double cpu, double memory) {
        Map<String, Double> load = Map.of("cpu_usage", cpu, "memory_usage", memory);
        return new Agent(registration, status, registeredAt, at, load, track, sender, inflight, reached, openSlots);
    }

    /** A copy with a newer track record. */
    public Agent withTrackRecord(TrackRecord newer) {
        return new Agent(
                registration,
                status,
                registeredAt,
                lastHeartbeat,
                loadMetrics,
                newer,
                sender,
                inflight,
                reached,
                openSlots);
    }

    /** A copy with another number of unsettled assignments. */
    public Agent withInflight(int count) {
        return new Agent(
                registration,
                status,
                registeredAt,
                lastHeartbeat,
                loadMetrics,
                track,
                sender,
                count,
                reached,
                openSlots);
    }

    /** CPU utilisation according to the metrics, 0.0 to 1.0. */
    public static double cpu(Map<String, Double> metrics) {
        return fraction(metrics, "cpu_usage", "cpu");
    }

    /** Memory utilisation according to the metrics, 0.0 to 1.0. */
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

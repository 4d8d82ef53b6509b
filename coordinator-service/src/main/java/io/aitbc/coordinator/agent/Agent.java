package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Registration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The registry's latest state of an agent.
 *
 * @param lastHeartbeat time of receipt, by the clocks of Kafka and the coordinators
 * @param loadMetrics as reported by the agent
 * @param sender the process that sends the heartbeats
 * @param inflight number of unsettled assignments
 * @param unreached why it is assigned nothing although it is active; null if there is no such reason
 * @param openSlots how many more assignments its open claims request; only for {@link Delivery#PULL} and {@link Delivery#PUSH}
 * @param resourcesInUse what unsettled assignments take of its resources, in thousandths
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
        @Nullable String unreached,
        int openSlots,
        Map<String, Long> resourcesInUse) {

    /** Why an agent with {@link Delivery#KAFKA} that registered over REST is assigned nothing yet. */
    public static final String UNREACHED_OVER_KAFKA =
            "it does not read its topic: no heartbeat from it has arrived over Kafka, and its consumer group has no member";

    public String id() {
        return registration.agentId();
    }

    public int capacity() {
        return registration.capacity();
    }

    /** Whether at most as many assignments are reserved for it as its open claims request. A coordinator claims for an agent it pushes to. */
    public boolean usesClaims() {
        return registration.delivery().isShared();
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
                registration,
                status,
                registeredAt,
                at,
                loadMetrics,
                track,
                sender,
                inflight,
                unreached,
                openSlots,
                resourcesInUse);
    }

    /** A copy after a heartbeat with load metrics. */
    public Agent withHeartbeat(Instant at, double cpu, double memory) {
        Map<String, Double> load = Map.of("cpu_usage", cpu, "memory_usage", memory);
        return new Agent(
                registration,
                status,
                registeredAt,
                at,
                load,
                track,
                sender,
                inflight,
                unreached,
                openSlots,
                resourcesInUse);
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
                unreached,
                openSlots,
                resourcesInUse);
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
                unreached,
                openSlots,
                resourcesInUse);
    }

    /** A copy whose open claims request another number of assignments. */
    public Agent withOpenSlots(int slots) {
        return new Agent(
                registration,
                status,
                registeredAt,
                lastHeartbeat,
                loadMetrics,
                track,
                sender,
                inflight,
                unreached,
                slots,
                resourcesInUse);
    }

    /** A copy of which unsettled assignments take another amount of a resource, in thousandths. */
    public Agent withResourceInUse(String resource, long amount) {
        Map<String, Long> inUse = new HashMap<>(resourcesInUse);
        inUse.put(resource, amount);
        return new Agent(
                registration,
                status,
                registeredAt,
                lastHeartbeat,
                loadMetrics,
                track,
                sender,
                inflight,
                unreached,
                openSlots,
                Map.copyOf(inUse));
    }

    /** What is left of a resource, in thousandths; negative if it declares less than assignments take. */
    public long left(String resource) {
        return registration.resources().thousandths().getOrDefault(resource, 0L)
                - resourcesInUse.getOrDefault(resource, 0L);
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

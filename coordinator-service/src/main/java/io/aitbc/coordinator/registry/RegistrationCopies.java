package io.aitbc.coordinator.registry;

import io.aitbc.coordinator.agent.Agent;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Appends copies of agents' registrations to the heartbeat topic, because their own heartbeats do not arrive over Kafka: an emptied Redis is
 * rebuilt from there. Owned by one thread.
 */
public final class RegistrationCopies {
    /** The rebuild reads as far back as the heartbeat timeout. */
    private static final int PER_TIMEOUT = 3;

    /** Interval if agents never become stale: the rebuild then reads an hour. */
    private static final Duration DEFAULT_INTERVAL = Duration.ofMinutes(20);

    private final Registry registry;
    private final HeartbeatTopic topic;
    private final Duration interval;
    /** By agent: when a copy was last appended. */
    private final Map<String, Long> appendedNanos = new HashMap<>();

    public RegistrationCopies(Registry registry, HeartbeatTopic topic) {
        this.registry = registry;
        this.topic = topic;
        this.interval = registry.healthPolicy().expectsHeartbeats()
                ? registry.healthPolicy().heartbeatTimeout().dividedBy(PER_TIMEOUT)
                : DEFAULT_INTERVAL;
    }

    /** Appends a copy for each agent, unless that was done lately. Call it for all agents, at short intervals. */
    public void append(Collection<String> agentIds) {
        long now = System.nanoTime();
        appendedNanos.values().removeIf(appended -> now - appended >= interval.toNanos());
        List<String> due =
                agentIds.stream().filter(id -> !appendedNanos.containsKey(id)).toList();
        for (Agent agent : registry.fetch(due)) {
            topic.appendCopy(agent.registration());
        }
        // Also unknown ones, which register again.
        due.forEach(id -> appendedNanos.put(id, now));
    }
}

package io.aitbc.coordinator.push;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.registry.RegistrationCopies;
import io.aitbc.coordinator.registry.Registry;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Pushes to the agents with delivery push that this coordinator monitors. One thread, {@code push}, owns the state of all of them; replies of
 * agents and answers of Redis are posted to it.
 */
public final class PushLoop implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(PushLoop.class);
    private static final Duration ROUND_INTERVAL = Duration.ofMillis(100);
    private static final Duration REFRESH_INTERVAL = Duration.ofSeconds(1);

    /** Between two looks at what is due. */
    private static final int MAX_MAIL = 1_000;

    private final Registry registry;
    private final RegistrationCopies copies;
    private final Predicate<String> ownsAgent;
    private final PushEffects effects;
    private final Clock clock;
    private final MonitoredThread thread = new MonitoredThread("push", this::run);
    private final RateLimiter roundLimiter = new RateLimiter(ROUND_INTERVAL);
    private final RateLimiter refreshLimiter = new RateLimiter(REFRESH_INTERVAL);
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);
    private final Map<String, PushedAgent> agents = new HashMap<>();
    /** By agent. */
    private final Map<String, String> recordedFailures = new HashMap<>();

    /** @param ownsAgent whether this coordinator monitors an agent */
    PushLoop(
            Registry registry,
            RegistrationCopies copies,
            Predicate<String> ownsAgent,
            PushEffects effects,
            Clock clock) {
        this.registry = registry;
        this.copies = copies;
        this.ownsAgent = ownsAgent;
        this.effects = effects;
        this.clock = clock;
    }

    @Override
    public void start() {
        thread.start();
    }

    @Override
    public void close() {
        thread.close(thread::interrupt);
        effects.close();
    }

    @Override
    public List<Problem> problems() {
        return thread.problems();
    }

    private void run() {
        while (!thread.isClosing()) {
            try {
                Runnable mail = effects.mailbox().poll(ROUND_INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
                for (int i = 1; mail != null; i++) {
                    mail.run();
                    mail = i < MAX_MAIL ? effects.mailbox().poll() : null;
                }
                if (refreshLimiter.tryAcquire()) {
                    refresh();
                }
                if (roundLimiter.tryAcquire()) {
                    agents.values().forEach(agent -> agent.check(System.nanoTime()));
                    agents.values().removeIf(PushedAgent::isGone);
                    recordedFailures.keySet().retainAll(agents.keySet());
                }
                failures.reset();
                thread.monitor().succeeded();
            } catch (InterruptedException e) {
                return;
            } catch (RuntimeException e) {
                thread.monitor().failed(e);
                failures.onFailure().log("Pushing failed, will retry: {}", e.toString());
            }
        }
    }

    private Duration probeInterval() {
        HealthPolicy policy = registry.healthPolicy();
        Duration interval = policy.heartbeatInterval();
        Duration third = policy.heartbeatTimeout().dividedBy(3);
        return policy.expectsHeartbeats() && third.compareTo(interval) < 0 ? third : interval;
    }

    private void recordFailure(String agentId, @Nullable String failure) {
        if (!Objects.equals(failure, recordedFailures.get(agentId))) {
            registry.recordPushFailure(agentId, failure);
            if (failure == null) {
                recordedFailures.remove(agentId);
            } else {
                recordedFailures.put(agentId, failure);
            }
        }
    }

    /** Reads the agents again, and records heartbeats for those that have answered. */
    private void refresh() {
        Set<String> answered = new LinkedHashSet<>();
        List<String> reached = new ArrayList<>();
        Set<String> owned = new HashSet<>();
        Set<String> alive = new HashSet<>();
        for (Agent agent : registry.pushed(ownsAgent)) {
            owned.add(agent.id());
            if (agent.status() != AgentStatus.INACTIVE) {
                alive.add(agent.id());
            }
            PushedAgent pushed =
                    agents.computeIfAbsent(agent.id(), id -> new PushedAgent(agent, probeInterval(), effects));
            pushed.update(agent);
            if (pushed.takeAnswered()) {
                answered.add(agent.id());
                if (agent.unreached() != null) {
                    reached.add(agent.id());
                }
            } else if (pushed.unreached() != null && !pushed.unreached().equals(agent.unreached())) {
                registry.markUnreached(agent.id(), pushed.unreached());
            }
            recordFailure(agent.id(), pushed.failure());
        }
        agents.forEach((id, agent) -> agent.setOwned(owned.contains(id)));
        // Also unreachable ones: after Redis was emptied, they would be forgotten, and not be probed.
        copies.append(alive);
        if (!answered.isEmpty()) {
            registry.recordAlive(answered, clock.instant());
        }
        if (!reached.isEmpty()) {
            registry.markReached(reached);
        }
    }
}

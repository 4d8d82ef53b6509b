package io.aitbc.coordinator.registry;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Follows which agents are active and how much they hold, and tells a listener: from change notices at once, and from Redis as a whole
 * every few seconds, which repairs whatever notices were missed. One thread, {@code agent-view}, owns it.
 */
public final class AgentView implements AutoCloseable {
    /** Told on the view's thread. */
    public interface Listener {
        void changed(Agent agent);

        void gone(String agentId);

        void holds(String agentId, int count);

        /** Tasks have been cancelled that may still wait. */
        void cancelled(Set<String> taskIds);

        /** Agents count as holding tasks that never stood in their topics. */
        void unpublished(Set<String> taskIds);
    }

    private static final Logger log = LoggerFactory.getLogger(AgentView.class);
    private static final Duration REFRESH_EVERY = Duration.ofSeconds(3);
    private static final int MAX_NOTICES = 10_000;

    private final Redis redis;
    private final Registry registry;
    private final Listener listener;
    private final BlockingQueue<String> notices = new LinkedBlockingQueue<>(MAX_NOTICES);
    private final Thread thread = new Thread(this::run, "agent-view");
    private final Set<String> told = new HashSet<>();
    private volatile boolean closing;
    private @Nullable StatefulRedisPubSubConnection<String, String> subscription;

    public AgentView(Redis redis, Registry registry, Listener listener) {
        this.redis = redis;
        this.registry = registry;
        this.listener = listener;
    }

    public void start() {
        thread.start();
    }

    @Override
    public void close() {
        closing = true;
        thread.interrupt();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(5));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void run() {
        long nextRefresh = System.nanoTime();
        while (!closing) {
            try {
                if (System.nanoTime() - nextRefresh >= 0) {
                    refresh();
                    nextRefresh = System.nanoTime() + REFRESH_EVERY.toNanos();
                }
                String notice = notices.poll(nextRefresh - System.nanoTime(), TimeUnit.NANOSECONDS);
                if (notice != null) {
                    List<String> batch = new ArrayList<>(List.of(notice));
                    notices.drainTo(batch);
                    follow(batch);
                }
            } catch (InterruptedException e) {
                break;
            } catch (RuntimeException e) {
                if (!closing) {
                    log.atWarn().log("The view of agents is not fresh, Redis: {}", e.toString());
                }
                nextRefresh = System.nanoTime() + REFRESH_EVERY.toNanos();
            }
        }
        if (subscription != null) {
            subscription.closeAsync();
        }
    }

    private void refresh() {
        subscribe();
        Set<String> active = new HashSet<>();
        for (Agent agent : registry.active()) {
            active.add(agent.id());
            tell(agent);
        }
        for (String agentId : Set.copyOf(told)) {
            if (!active.contains(agentId)) {
                tellGone(agentId);
            }
        }
    }

    private void subscribe() {
        if (subscription == null) {
            StatefulRedisPubSubConnection<String, String> opened = redis.openPubSub();
            opened.addListener(new RedisPubSubAdapter<>() {
                @Override
                public void message(String channel, String message) {
                    // When the queue is full the next refresh makes up for what is dropped.
                    notices.offer(message);
                }
            });
            try {
                opened.sync().subscribe(Keys.AGENT_EVENTS);
                subscription = opened;
            } finally {
                if (subscription == null) {
                    opened.closeAsync();
                }
            }
        }
    }

    private void follow(List<String> batch) {
        Set<String> changed = new LinkedHashSet<>();
        Map<String, Integer> held = new HashMap<>();
        Set<String> cancelled = new HashSet<>();
        Set<String> unpublished = new HashSet<>();
        for (String notice : batch) {
            try {
                JsonNode json = Json.MAPPER.readTree(notice);
                json.path("changed").forEach(id -> changed.add(id.asString()));
                json.path("cancelled").forEach(id -> cancelled.add(id.asString()));
                json.path("unpublished").forEach(id -> unpublished.add(id.asString()));
                json.path("held").forEachEntry((id, count) -> held.put(id, count.asInt()));
            } catch (JacksonException e) {
                log.atDebug().log("Notice not understood: {}", notice);
            }
        }
        if (!cancelled.isEmpty()) {
            listener.cancelled(cancelled);
        }
        if (!unpublished.isEmpty()) {
            listener.unpublished(unpublished);
        }
        held.forEach(listener::holds);
        Set<String> missing = new HashSet<>(changed);
        for (Agent agent : registry.fetch(changed)) {
            missing.remove(agent.id());
            if (agent.status() == AgentStatus.ACTIVE) {
                tell(agent);
            } else {
                tellGone(agent.id());
            }
        }
        missing.forEach(this::tellGone);
    }

    private void tell(Agent agent) {
        told.add(agent.id());
        listener.changed(agent);
    }

    private void tellGone(String agentId) {
        if (told.remove(agentId)) {
            listener.gone(agentId);
        }
    }
}

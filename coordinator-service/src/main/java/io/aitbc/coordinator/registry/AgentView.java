package io.aitbc.coordinator.registry;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.TrackRecord;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Maintains a view of the active agents, their health and how many assignments they hold, and notifies a listener. Notices in Redis
 * announce changes. They are numbered, so a view detects missed ones with the next notice or within two seconds, and then reads all agents
 * again. Owned by one thread, {@code agent-view}; any thread may read it.
 */
public final class AgentView implements BackgroundService {
    /** Called by the view's thread, with batched changes. */
    public interface Listener {
        /** Agents are new, or anything about them may have changed. */
        void agentsChanged(List<Agent> agents);

        /**
         * Heartbeats of agents arrived; how many assignments they hold is unchanged.
         *
         * @param agents their state at the time of the call: a listener that applies it later must not undo later changes
         */
        void heartbeats(Supplier<List<Agent>> agents);

        void agentsRemoved(Set<String> agentIds);

        /** New counts of assignments held, except those from this coordinator's own reservations, which it knows already. */
        void heldCountsChanged(Map<String, Integer> counts);

        /** New counts of the assignments that open claims request. */
        void openSlotsChanged(Map<String, Integer> slots);

        /** Tasks were cancelled that may still be waiting. */
        void cancelled(Set<String> taskIds);

        /** Tasks that agents are recorded as holding were never published to their topics. */
        void unpublished(Set<String> taskIds);

        /** What is used of limits, by name, except by this coordinator's own reservations, which it knows already; see {@code limits.lua}. */
        void limitsChanged(JsonNode states);

        /** Changes of limits may have been missed. */
        void limitsUnknown();

        /** Redis was emptied, and has no record of waiting tasks. */
        void rebuilt();
    }

    private static final Logger log = LoggerFactory.getLogger(AgentView.class);
    private static final Duration CHECK_INTERVAL = Duration.ofSeconds(1);
    /** Picks up manual changes in Redis, which give no notice. */
    private static final Duration REFRESH_INTERVAL = Duration.ofMinutes(1);

    /** Minimum interval between refreshes, however many notices are missed. */
    private static final Duration MIN_REFRESH_INTERVAL = Duration.ofSeconds(1);

    /** Refreshes pause for this many times as long as they take: with many agents, they would otherwise cause the delay that they mend. */
    private static final int REFRESH_PAUSE = 4;

    private static final int MAX_NOTICES = 10_000;

    private final Redis redis;
    private final Registry registry;
    private final String coordinatorId;
    private final Listener listener;
    private final BlockingQueue<String> notices = new LinkedBlockingQueue<>(MAX_NOTICES);
    private final MonitoredThread thread = new MonitoredThread("agent-view", this::run);
    /** The active agents; written only by the view's thread. */
    private final Map<String, Agent> agents = new ConcurrentHashMap<>();

    private volatile boolean resubscribed;
    private @Nullable StatefulRedisPubSubConnection<String, String> subscription;
    /** The number of the last notice applied to the view. */
    private long lastAppliedNumber;
    /** The number of notices published, at the last check. */
    private long lastPublishedNumber;

    private Duration minRefreshInterval = MIN_REFRESH_INTERVAL;
    private boolean missed = true;
    private boolean failing;
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);
    private long lastRefresh = System.nanoTime() - REFRESH_INTERVAL.toNanos();

    /** @param coordinatorId the name under which this coordinator reserves */
    public AgentView(Redis redis, Registry registry, String coordinatorId, Listener listener) {
        this.redis = redis;
        this.registry = registry;
        this.coordinatorId = coordinatorId;
        this.listener = listener;
    }

    @Override
    public void start() {
        thread.start();
    }

    @Override
    public void close() {
        thread.close(thread::interrupt);
    }

    @Override
    public List<Problem> problems() {
        return thread.problems();
    }

    /** All active agents, as of the last notice. */
    public Collection<Agent> active() {
        return agents.values();
    }

    private void run() {
        long nextCheck = System.nanoTime();
        while (!thread.isClosing()) {
            try {
                if (System.nanoTime() - nextCheck >= 0) {
                    nextCheck = System.nanoTime() + CHECK_INTERVAL.toNanos();
                    applyArrived();
                    check();
                    failing = false;
                    failures.reset();
                    thread.monitor().succeeded();
                }
                if (resubscribed) {
                    resubscribed = false;
                    missed = true;
                }
                if (missed && !failing && isDue(minRefreshInterval)) {
                    refresh();
                }
                String notice = notices.poll(nextCheck - System.nanoTime(), TimeUnit.NANOSECONDS);
                if (notice != null) {
                    applyArrived(notice);
                }
            } catch (InterruptedException e) {
                break;
            } catch (RuntimeException | Error e) {
                if (!thread.isClosing()) {
                    thread.monitor().failed(e);
                    failures.onFailure().log("Agent view is stale, will retry: {}", e.toString());
                }
                // Pause refreshes until the next check.
                failing = true;
            }
        }
        if (subscription != null) {
            subscription.closeAsync();
        }
    }

    /** A notice that has arrived is not missed, however late it is applied. */
    private void applyArrived(String... first) {
        List<String> batch = new ArrayList<>(List.of(first));
        notices.drainTo(batch);
        boolean applied = false;
        try {
            new NoticeBatch().apply(batch);
            applied = true;
        } finally {
            missed |= !applied;
        }
    }

    /** Detects missed notices: a notice published before the last check has either arrived by now or is lost. */
    private void check() {
        subscribe();
        long now = registry.noticesPublished();
        missed |= lastAppliedNumber < lastPublishedNumber || now < lastAppliedNumber || isDue(REFRESH_INTERVAL);
        lastPublishedNumber = now;
    }

    private boolean isDue(Duration since) {
        return System.nanoTime() - lastRefresh >= since.toNanos();
    }

    private void refresh() {
        long began = System.nanoTime();
        // Read the number first: notices published during the refresh are applied afterwards, possibly twice.
        lastAppliedNumber = registry.noticesPublished();
        lastPublishedNumber = lastAppliedNumber;
        List<Agent> active = registry.active();
        Set<String> gone = new HashSet<>(agents.keySet());
        for (Agent agent : active) {
            agents.put(agent.id(), agent);
            gone.remove(agent.id());
        }
        agents.keySet().removeAll(gone);
        listener.agentsChanged(active);
        listener.agentsRemoved(gone);
        if (missed) {
            listener.limitsUnknown();
        }
        missed = false;
        lastRefresh = System.nanoTime();
        minRefreshInterval = MIN_REFRESH_INTERVAL.plusNanos(REFRESH_PAUSE * (lastRefresh - began));
    }

    private void subscribe() {
        if (subscription == null) {
            subscription = redis.subscribe(
                    new RedisPubSubAdapter<>() {
                        @Override
                        public void message(String channel, String message) {
                            // If the queue is full, the numbers reveal the gap.
                            notices.offer(message);
                        }

                        @Override
                        public void subscribed(String channel, long count) {
                            // Either the first subscription, or a reconnect after which notices may be missing.
                            resubscribed = true;
                        }
                    },
                    redis.channel(Keys.AGENT_EVENTS));
        }
    }

    /** The combined content of a batch of notices. */
    private final class NoticeBatch {
        private final Set<String> changed = new LinkedHashSet<>();
        private final Set<String> heard = new LinkedHashSet<>();
        private final Map<String, Integer> held = new HashMap<>();
        private final Map<String, Integer> open = new HashMap<>();
        private final Set<String> cancelled = new HashSet<>();
        private final Set<String> unpublished = new HashSet<>();
        private final ObjectNode limits = Json.object();
        private boolean rebuilt;

        void apply(List<String> batch) {
            for (String notice : batch) {
                try {
                    take(Json.MAPPER.readTree(notice));
                } catch (JacksonException e) {
                    log.atDebug().log("Malformed notice: {}", notice);
                }
            }
            if (!cancelled.isEmpty()) {
                listener.cancelled(cancelled);
            }
            if (!unpublished.isEmpty()) {
                listener.unpublished(unpublished);
            }
            if (rebuilt) {
                missed = true;
                listener.rebuilt();
            }
            if (!held.isEmpty()) {
                listener.heldCountsChanged(held);
            }
            if (!limits.isEmpty()) {
                listener.limitsChanged(limits);
            }
            if (!open.isEmpty()) {
                listener.openSlotsChanged(open);
            }
            heard.removeAll(changed);
            if (!heard.isEmpty()) {
                listener.heartbeats(() -> heard.stream()
                        .flatMap(id -> Stream.ofNullable(agents.get(id)))
                        .toList());
            }
            if (!changed.isEmpty()) {
                reload(changed);
            }
        }

        private void take(JsonNode notice) {
            rebuilt |= notice.path("rebuilt").asBoolean(false);
            notice.path("cancelled").forEach(id -> cancelled.add(id.asString()));
            notice.path("unpublished").forEach(id -> unpublished.add(id.asString()));
            if (notice.has("seq")) {
                long number = notice.get("seq").asLong();
                if (number <= lastAppliedNumber) {
                    // Published before all agents were read.
                    return;
                }
                missed |= number > lastAppliedNumber + 1;
                lastAppliedNumber = number;
            }
            notice.path("changed").forEach(id -> changed.add(id.asString()));
            notice.path("heard").forEachEntry((id, heartbeat) -> update(id, agent -> withHeartbeat(agent, heartbeat)));
            Instant at = Instant.ofEpochMilli(notice.path("at").asLong(0));
            notice.path("tracks")
                    .forEachEntry((id, track) -> update(
                            id,
                            agent -> agent.withTrackRecord(new TrackRecord(
                                    track.get(0).asDouble(), track.get(1).asDouble(), at))));
            notice.path("freed").forEachEntry((id, count) -> holds(id, count.asInt()));
            notice.path("open").forEachEntry((id, slots) -> opens(id, slots.asInt()));
            boolean own = coordinatorId.equals(notice.path("by").asString(""));
            notice.path("limits").forEachEntry((name, state) -> {
                if (AgentResource.isName(name)) {
                    takes(AgentResource.named(name), state.path(0).asLong());
                }
                // Its own answers were applied at once. What it has freed elsewhere is news.
                if (!own
                        || AgentResource.isName(name)
                                && notice.path("freed")
                                        .has(AgentResource.named(name).agentId())) {
                    limits.set(name, state);
                } else {
                    limits.remove(name);
                }
            });
            notice.path("held").forEachEntry((id, count) -> {
                holds(id, count.asInt());
                if (own) {
                    held.remove(id);
                }
            });
        }

        private void opens(String agentId, int slots) {
            agents.computeIfPresent(agentId, (id, agent) -> agent.withOpenSlots(slots));
            open.put(agentId, slots);
        }

        private void holds(String agentId, int count) {
            agents.computeIfPresent(agentId, (id, agent) -> agent.withInflight(count));
            held.put(agentId, count);
        }

        private void takes(AgentResource one, long amount) {
            agents.computeIfPresent(one.agentId(), (id, agent) -> agent.withResourceInUse(one.resource(), amount));
        }

        private void update(String agentId, UnaryOperator<Agent> change) {
            if (agents.computeIfPresent(agentId, (id, before) -> change.apply(before)) != null) {
                heard.add(agentId);
            }
        }

        /** @param heartbeat its time in ms, and CPU and memory utilisation if reported */
        private static Agent withHeartbeat(Agent agent, JsonNode heartbeat) {
            Instant at = Instant.ofEpochMilli(heartbeat.get(0).asLong());
            return heartbeat.size() < 3
                    ? agent.withHeartbeat(at)
                    : agent.withHeartbeat(
                            at, heartbeat.get(1).asDouble(), heartbeat.get(2).asDouble());
        }
    }

    private void reload(Set<String> agentIds) {
        List<Agent> active = new ArrayList<>();
        Set<String> gone = new HashSet<>(agentIds);
        for (Agent agent : registry.fetch(agentIds)) {
            if (agent.status() == AgentStatus.ACTIVE) {
                active.add(agent);
                agents.put(agent.id(), agent);
                gone.remove(agent.id());
            }
        }
        agents.keySet().removeAll(gone);
        listener.agentsChanged(active);
        listener.agentsRemoved(gone);
    }
}

package io.aitbc.coordinator.registry;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Health;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.lettuce.core.RedisFuture;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;

/** The agents, kept in Redis. May be used by any thread; every change of an agent is one atomic step. */
public final class Registry {
    private static final Script HEARTBEAT = Script.beside(Registry.class, "heartbeat");
    private static final Script DEREGISTER = Script.beside(Registry.class, "deregister");
    private static final Script MARK_STALE = Script.beside(Registry.class, "mark-stale");
    private static final int MAX_REMEMBERED_TOPICS = 100_000;

    private final Redis redis;
    private final TopicCatalog topics;
    private final HealthPolicy health;
    /** Agents whose topic is known to exist, so that their heartbeats need not ask Kafka. */
    private final Set<String> withTopic = ConcurrentHashMap.newKeySet();

    public Registry(Redis redis, TopicCatalog topics, HealthPolicy health) {
        this.redis = redis;
        this.topics = topics;
        this.health = health;
    }

    public HealthPolicy healthPolicy() {
        return health;
    }

    /**
     * Takes note of heartbeats; one that holds a registration registers its agent, whose topic is made first.
     *
     * @return for each whether the agent is known, in the same order
     */
    public List<Boolean> note(List<Heartbeat> heartbeats, Instant now) throws InterruptedException {
        makeTopics(heartbeats.stream()
                .filter(heartbeat -> heartbeat.registration() != null)
                .map(Heartbeat::agentId)
                .toList());
        List<CompletableFuture<List<Object>>> answers = heartbeats.stream()
                .map(heartbeat -> HEARTBEAT.run(redis, arguments(heartbeat, now)))
                .toList();
        return answers.stream()
                .map(answer -> join(answer).get(0).equals("known"))
                .toList();
    }

    /** Takes an agent out of service; false if it is not known. Its unsettled assignments are given back. */
    public boolean deregister(String agentId) {
        return DEREGISTER.runNow(redis, List.of(agentId)).get(0).equals("known");
    }

    public Optional<Agent> find(String agentId) {
        return fetch(List.of(agentId)).stream().findFirst();
    }

    /** All agents that ever registered, whatever their status. */
    public List<Agent> all() {
        return fetch(redis.sync().smembers(Keys.KNOWN_AGENTS));
    }

    /** All agents whose status is active. */
    public List<Agent> active() {
        return fetch(redis.sync().smembers(Keys.ACTIVE_AGENTS)).stream()
                .filter(agent -> agent.status() == AgentStatus.ACTIVE)
                .toList();
    }

    /** The agents of some ids, without those that are not known. */
    public List<Agent> fetch(Collection<String> agentIds) {
        record Parts(RedisFuture<Map<String, String>> hash, RedisFuture<Long> inflight) {}
        List<Parts> parts = agentIds.stream()
                .map(id -> new Parts(
                        redis.async().hgetall(Keys.agent(id)), redis.async().hlen(Keys.inflight(id))))
                .toList();
        List<Agent> agents = new ArrayList<>(parts.size());
        for (Parts part : parts) {
            Map<String, String> hash = join(part.hash().toCompletableFuture());
            if (hash.containsKey("agent_id")) {
                agents.add(AgentHash.read(
                        hash, join(part.inflight().toCompletableFuture()).intValue()));
            }
        }
        return agents;
    }

    public Health health(Agent agent, Instant now) {
        return Health.of(agent, now, health);
    }

    /** Agents that were last heard of longer ago than the timeout. */
    List<String> silent(Instant now) {
        double limit = now.minus(health.heartbeatTimeout()).toEpochMilli();
        return redis.sync()
                .zrangebyscore(
                        Keys.HEARTBEATS,
                        io.lettuce.core.Range.create(0.0, limit),
                        io.lettuce.core.Limit.create(0, 1_000));
    }

    /** Makes an agent stale, unless it spoke meanwhile; true if it is stale now. */
    boolean markStale(String agentId, Instant now) {
        String limit = String.valueOf(now.minus(health.heartbeatTimeout()).toEpochMilli());
        return MARK_STALE.runNow(redis, List.of(agentId, limit)).get(0).equals("stale");
    }

    private void makeTopics(List<String> agentIds) throws InterruptedException {
        List<String> missing = agentIds.stream()
                .filter(id -> !withTopic.contains(id))
                .distinct()
                .toList();
        if (missing.isEmpty()) {
            return;
        }
        topics.createForAgents(missing);
        if (withTopic.size() > MAX_REMEMBERED_TOPICS) {
            withTopic.clear();
        }
        withTopic.addAll(missing);
    }

    private List<String> arguments(Heartbeat heartbeat, Instant now) {
        Registration registration = heartbeat.registration();
        List<String> arguments = new ArrayList<>(34);
        arguments.add(heartbeat.agentId());
        arguments.add(String.valueOf(now.toEpochMilli()));
        arguments.add(now.toString());
        arguments.add(heartbeat.status() == null ? "" : heartbeat.status().wireName());
        arguments.add(heartbeat.loadMetrics() == null ? "" : Json.text(heartbeat.loadMetrics()));
        arguments.add(heartbeat.loadMetrics() == null ? "" : String.valueOf(loadFactor(heartbeat, now)));
        arguments.addAll(registration == null ? List.of() : AgentHash.fields(registration));
        return arguments;
    }

    /** The part of the health score that the heartbeat alone decides. */
    private double loadFactor(Heartbeat heartbeat, Instant now) {
        Registration anyone = Registration.of(heartbeat.agentId(), "any", Collections.emptyList(), 1);
        return Health.of(
                        new Agent(anyone, AgentStatus.ACTIVE, now, now, heartbeat.loadMetrics(), 0, now, 0),
                        now,
                        health)
                .load();
    }

    private static <T> T join(CompletableFuture<T> future) {
        try {
            return future.orTimeout(Duration.ofSeconds(5).toMillis(), java.util.concurrent.TimeUnit.MILLISECONDS)
                    .join();
        } catch (CompletionException e) {
            throw Redis.failure(e.getCause());
        }
    }
}

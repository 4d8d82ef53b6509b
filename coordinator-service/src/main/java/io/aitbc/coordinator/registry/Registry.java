package io.aitbc.coordinator.registry;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Health;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.lettuce.core.KeyScanCursor;
import io.lettuce.core.Limit;
import io.lettuce.core.Range;
import io.lettuce.core.ScanArgs;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The agent registry, stored in Redis. Thread-safe; every change of an agent is one atomic step. */
public final class Registry {
    private static final String PUSH_FAILURE = "push_failure";
    private static final Logger log = LoggerFactory.getLogger(Registry.class);
    private static final Script HEARTBEAT = Script.load(Registry.class, "heartbeat");
    private static final Script DEREGISTER = Script.load(Registry.class, "deregister");
    private static final Script MARK_REACHED = Script.load(Registry.class, "mark-reached");
    private static final Script MARK_UNREACHED = Script.load(Registry.class, "mark-unreached");
    private static final Script MARK_STALE = Script.load(Registry.class, "mark-stale");
    private static final Script BEGIN_REMOVAL = Script.load(Registry.class, "begin-removal");
    private static final Script END_REMOVAL = Script.load(Registry.class, "end-removal");
    private static final Script REINDEX = Script.load(Registry.class, "reindex");
    private static final int SCAN_BATCH = 1_000;

    /** Batch limit: Redis serves nobody else while a script runs. */
    private static final int MAX_BATCH = 250;

    /** Expiry of a removal whose coordinator has died. */
    static final Duration REMOVAL_TIMEOUT = Duration.ofSeconds(60);

    private static final long MAX_CLOCK_SECONDS = 1_000_000_000_000L;
    private static final Duration HASH_RETENTION = Duration.ofDays(30);
    private static final HexFormat HEX = HexFormat.of();

    private final Redis redis;
    private final TopicCatalog topics;
    private final HealthPolicy health;

    public Registry(Redis redis, TopicCatalog topics, HealthPolicy health) {
        this.redis = redis;
        this.topics = topics;
        this.health = health;
    }

    /**
     * A heartbeat, and when it was received.
     *
     * @param overKafka whether the agent itself sent it over Kafka
     */
    record Received(Heartbeat heartbeat, Instant at, boolean overKafka) {}

    enum Source {
        /** Read from Kafka: it may be a repetition, or older than what is recorded. */
        TOPIC,
        /** Received now, in a request of the agent. */
        REQUEST,
        /** The coordinator knows that the agent is alive. */
        COORDINATOR
    }

    /** The outcome of a heartbeat. */
    public enum HeartbeatOutcome {
        KNOWN,
        /** Known, but two processes share the id. */
        CONTESTED,
        /** Ignored: the agent never registered, or was deregistered, and the heartbeat holds no registration. */
        UNKNOWN,
        /** The topic of the agent's earlier registration is being removed: it can register shortly, once that is done. */
        LEAVING
    }

    public HealthPolicy healthPolicy() {
        return health;
    }

    /** Records a heartbeat received now. If it holds a registration, creates the agent's topic and then registers the agent. */
    public HeartbeatOutcome recordHeartbeat(Heartbeat heartbeat, Instant now) throws InterruptedException {
        // A request made now is newer than any heartbeat read, however the clocks of coordinators and Kafka differ.
        return recordHeartbeats(List.of(new Received(heartbeat, now, false)), Source.REQUEST, now)
                .get(0);
    }

    /** Records that agents are alive, although they have sent no heartbeat. Inactive agents stay so. */
    public void recordAlive(Collection<String> agentIds, Instant now) {
        runHeartbeatScript(
                agentIds.stream()
                        .map(id -> new Received(new Heartbeat(id, null, null, null, null, null), now, false))
                        .toList(),
                Source.COORDINATOR,
                false,
                now);
    }

    /** Records heartbeats; the outcomes are in the same order. */
    List<HeartbeatOutcome> recordHeartbeats(List<Received> heartbeats, Instant now) throws InterruptedException {
        return recordHeartbeats(heartbeats, Source.TOPIC, now);
    }

    private List<HeartbeatOutcome> recordHeartbeats(List<Received> heartbeats, Source source, Instant now)
            throws InterruptedException {
        List<String> answers = new ArrayList<>(runHeartbeatScript(heartbeats, source, false, now));
        List<Integer> newcomers = IntStream.range(0, heartbeats.size())
                .filter(i -> answers.get(i).equals("register"))
                .boxed()
                .toList();
        if (!newcomers.isEmpty()) {
            List<Received> registering = newcomers.stream().map(heartbeats::get).toList();
            topics.createAgentTopics(registering.stream()
                    .filter(received -> !hasNoTopic(received.heartbeat()))
                    .map(received -> received.heartbeat().agentId())
                    .distinct()
                    .toList());
            List<String> registered = runHeartbeatScript(registering, source, true, now);
            IntStream.range(0, newcomers.size()).forEach(i -> answers.set(newcomers.get(i), registered.get(i)));
        }
        return answers.stream().map(Registry::heartbeatOutcome).toList();
    }

    private static boolean hasNoTopic(Heartbeat heartbeat) {
        return heartbeat.registration() != null
                && heartbeat.registration().delivery().isShared();
    }

    List<String> runHeartbeatScript(List<Received> heartbeats, Source source, boolean topicsExist, Instant now) {
        List<CompletableFuture<List<Object>>> answers = new ArrayList<>();
        for (int from = 0; from < heartbeats.size(); from += MAX_BATCH) {
            List<String> arguments = new ArrayList<>();
            arguments.add(ms(now));
            arguments.add(String.valueOf(REMOVAL_TIMEOUT.toMillis()));
            arguments.add(String.valueOf(AgentHash.REGISTRATION_FIELDS));
            arguments.add(source == Source.TOPIC ? "0" : "1");
            arguments.add(source == Source.COORDINATOR ? "1" : "0");
            heartbeats
                    .subList(from, Math.min(heartbeats.size(), from + MAX_BATCH))
                    .forEach(received -> addTo(arguments, received, topicsExist));
            answers.add(HEARTBEAT.run(redis, arguments));
        }
        return answers.stream()
                .flatMap(answer -> Redis.await(answer).stream().map(String.class::cast))
                .toList();
    }

    private static void addTo(List<String> arguments, Received received, boolean topicExists) {
        Heartbeat heartbeat = received.heartbeat();
        Map<String, Double> metrics = heartbeat.loadMetrics();
        arguments.add(heartbeat.agentId());
        arguments.add(ms(received.at()));
        arguments.add(received.at().toString());
        arguments.add(heartbeat.status() == null ? "" : heartbeat.status().wireName());
        arguments.add(metrics == null ? "" : Json.text(metrics));
        arguments.add(metrics == null ? "" : String.valueOf(Health.loadFactor(Agent.load(metrics))));
        arguments.add(metrics == null ? "" : Agent.cpu(metrics) + "," + Agent.memory(metrics));
        arguments.add(heartbeat.instanceId() == null ? "" : heartbeat.instanceId());
        arguments.add(heartbeat.sentAt() == null ? "" : clockAheadMs(received.at(), heartbeat.sentAt()));
        arguments.add(heartbeat.registration() == null ? "" : digest(heartbeat.registration()));
        arguments.add(received.overKafka() ? "1" : "0");
        if (topicExists && heartbeat.registration() != null) {
            arguments.add("1");
            arguments.addAll(AgentHash.fields(heartbeat.registration()));
        } else {
            arguments.add(topicExists ? "2" : "0");
        }
    }

    /** A clock may be so wrong that the difference overflows. */
    private static String clockAheadMs(Instant received, Instant sent) {
        Duration ahead = Duration.between(received, sent);
        return String.valueOf(Math.max(-MAX_CLOCK_SECONDS, Math.min(MAX_CLOCK_SECONDS, ahead.toSeconds())) * 1_000
                + ahead.toMillisPart());
    }

    /** Identifies a registration, so that an unchanged one need not be written again. */
    private static String digest(Registration registration) {
        String text = registration.toString();
        return HEX.toHexDigits(text.hashCode()) + HEX.toHexDigits(Utils.murmur2(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static HeartbeatOutcome heartbeatOutcome(String code) {
        return switch (code) {
            case "known" -> HeartbeatOutcome.KNOWN;
            case "contested" -> HeartbeatOutcome.CONTESTED;
            case "unknown" -> HeartbeatOutcome.UNKNOWN;
            case "leaving" -> HeartbeatOutcome.LEAVING;
            default -> throw new IllegalStateException("unexpected answer of heartbeat.lua: " + code);
        };
    }

    /** The outcome of a deregistration. */
    public enum DeregistrationOutcome {
        DEREGISTERED,
        /** Already deregistered, and not registered since. */
        ALREADY_DEREGISTERED,
        /** No such agent ever registered. */
        UNKNOWN
    }

    /** Takes an agent out of service until it registers again. Its unsettled assignments are requeued. */
    public DeregistrationOutcome deregister(String agentId, Instant now) {
        String code =
                (String) DEREGISTER.runSync(redis, List.of(agentId, ms(now))).get(0);
        return switch (code) {
            case "deregistered" -> DeregistrationOutcome.DEREGISTERED;
            case "before" -> DeregistrationOutcome.ALREADY_DEREGISTERED;
            case "unknown" -> DeregistrationOutcome.UNKNOWN;
            default -> throw new IllegalStateException("unexpected answer of deregister.lua: " + code);
        };
    }

    public Optional<Agent> find(String agentId) {
        return fetch(List.of(agentId)).stream().findFirst();
    }

    /** All agents, whatever their status; deregistered ones as long as they have a topic. */
    public List<Agent> all() {
        return fetch(redis.sync().smembers(Keys.KNOWN_AGENTS));
    }

    /** All agents whose status is active. */
    List<Agent> active() {
        return fetch(redis.sync().smembers(Keys.ACTIVE_AGENTS)).stream()
                .filter(agent -> agent.status() == AgentStatus.ACTIVE)
                .toList();
    }

    /** The agents with the given ids, without unknown ones. Reads them in parts, so that other commands wait for one part at most. */
    public List<Agent> fetch(Collection<String> agentIds) {
        List<String> ids = List.copyOf(agentIds);
        List<Agent> agents = new ArrayList<>(ids.size());
        for (int from = 0; from < ids.size(); from += MAX_BATCH) {
            agents.addAll(fetchPart(ids.subList(from, Math.min(ids.size(), from + MAX_BATCH))));
        }
        return agents;
    }

    private List<Agent> fetchPart(List<String> agentIds) {
        record Parts(String id, CompletableFuture<Map<String, String>> hash, CompletableFuture<Long> inflight) {}
        List<Parts> parts = agentIds.stream()
                .map(id -> new Parts(
                        id,
                        redis.readHash(Keys.agent(id), read -> read.hgetall(Keys.agent(id))),
                        redis.readHash(Keys.inflight(id), read -> read.hlen(Keys.inflight(id)))))
                .toList();
        Map<String, Map<String, String>> hashes = new LinkedHashMap<>();
        Map<String, Map<String, CompletableFuture<Long>>> inUse = new HashMap<>();
        for (Parts part : parts) {
            Map<String, String> hash = Redis.await(part.hash());
            if (!hash.isEmpty()) {
                hashes.put(part.id(), hash);
                inUse.put(part.id(), resourcesInUse(part.id(), hash));
            }
        }
        List<Agent> agents = new ArrayList<>(parts.size());
        for (Parts part : parts) {
            int inflight = Redis.await(part.inflight()).intValue();
            Map<String, String> hash = hashes.get(part.id());
            if (hash != null) {
                Map<String, Long> amounts = new HashMap<>();
                inUse.getOrDefault(part.id(), Map.of())
                        .forEach((name, amount) -> amounts.put(name, Redis.await(amount)));
                read(part.id(), hash, inflight, amounts).ifPresent(agents::add);
            }
        }
        return agents;
    }

    private Map<String, CompletableFuture<Long>> resourcesInUse(String agentId, Map<String, String> hash) {
        Map<String, CompletableFuture<Long>> amounts = new HashMap<>();
        if (!hash.getOrDefault("resources", "").isEmpty()) {
            try {
                for (String name : AgentHash.resources(hash).thousandths().keySet()) {
                    String key = Keys.limit(new AgentResource(agentId, name).limit());
                    amounts.put(
                            name,
                            redis.readHash(key, read -> read.hget(key, "used")).thenApply(Redis::count));
                }
            } catch (Json.MalformedMessageException e) {
                // The hash is set aside when it is read.
            }
        }
        return amounts;
    }

    private Optional<Agent> read(
            String agentId, Map<String, String> hash, int inflight, Map<String, Long> resourcesInUse) {
        try {
            if (agentId.equals(hash.get("agent_id"))) {
                return Optional.of(AgentHash.read(hash, inflight, resourcesInUse));
            }
        } catch (RuntimeException e) {
            log.atDebug().addKeyValue("agent_id", agentId).log("Unreadable hash of an agent: {}", e.toString());
        }
        Map<String, String> readable = quarantineCorrupt(agentId, hash);
        return readable.isEmpty() ? Optional.empty() : Optional.of(AgentHash.read(readable, inflight, resourcesInUse));
    }

    /**
     * Sets aside the unreadable fields of an agent. If a registration field is among them, sets aside the whole hash, and the agent is
     * unknown until it registers again.
     *
     * @return the remaining fields, possibly none
     */
    private Map<String, String> quarantineCorrupt(String agentId, Map<String, String> hash) {
        Map<String, String> corrupt = AgentHash.corruptState(hash);
        Map<String, String> rest = new HashMap<>(hash);
        rest.keySet().removeAll(corrupt.keySet());
        if (corrupt.containsKey("status")) {
            rest.put("status", AgentStatus.STALE.wireName());
        }
        if (AgentHash.isReadable(agentId, rest)) {
            // Like a silent agent, it becomes active again with its next heartbeat.
            redis.quarantineFields(Keys.agent(agentId), corrupt, Map.of("status", AgentStatus.STALE.wireName()));
            return rest;
        }
        redis.quarantine(Keys.agent(agentId), AgentHash.registration(hash));
        return Map.of();
    }

    /** Reconciles the sets of agents with their hashes, after one of the sets was quarantined. */
    public void reindex(Instant now) {
        ScanArgs agents = ScanArgs.Builder.matches(Keys.agent("*")).limit(SCAN_BATCH);
        List<String> ids = new ArrayList<>();
        for (KeyScanCursor<String> scan = redis.sync().scan(agents);
                ;
                scan = redis.sync().scan(scan, agents)) {
            scan.getKeys().stream()
                    .filter(key -> !key.endsWith(
                            Keys.inflight("").substring(Keys.agent("").length())))
                    .forEach(key -> ids.add(key.substring(Keys.agent("").length())));
            if (scan.isFinished()) {
                break;
            }
        }
        for (int from = 0; from < ids.size(); from += MAX_BATCH) {
            List<String> arguments = new ArrayList<>(List.of(ms(now)));
            arguments.addAll(ids.subList(from, Math.min(ids.size(), from + MAX_BATCH)));
            REINDEX.runSync(redis, arguments);
        }
    }

    /** The unsettled assignments of all agents, without their progress. */
    public CompletableFuture<List<HeldAssignment>> heldByAll() {
        return redis.async().zrange(Keys.DEADLINES, 0, -1).toCompletableFuture().thenCompose(agentIds -> {
            List<CompletableFuture<Map<String, String>>> held = agentIds.stream()
                    .map(id -> redis.readHash(Keys.inflight(id), read -> read.hgetall(Keys.inflight(id))))
                    .toList();
            return CompletableFuture.allOf(held.toArray(CompletableFuture[]::new))
                    .thenApply(all -> held.stream()
                            .flatMap(entries -> entries.join().entrySet().stream())
                            .map(entry -> HeldAssignment.read(entry.getKey(), entry.getValue()))
                            .toList());
        });
    }

    /** The assignments that an agent holds, by deadline. */
    public List<HeldAssignment> heldBy(String agentId) {
        Map<String, String> entries =
                redis.readHashSync(Keys.inflight(agentId), read -> read.hgetall(Keys.inflight(agentId)));
        Map<String, TaskState> tasks = new TaskStates(redis).findAll(entries.keySet());
        return entries.entrySet().stream()
                .map(entry -> {
                    HeldAssignment held = HeldAssignment.read(entry.getKey(), entry.getValue());
                    TaskState task = tasks.get(entry.getKey());
                    return task == null ? held : held.afterProgress(task);
                })
                .sorted(Comparator.comparing(HeldAssignment::deadline).thenComparing(HeldAssignment::taskId))
                .toList();
    }

    /** The number of heartbeats received from unregistered agents. */
    public long unknownHeartbeats() {
        String count = redis.readHashSync(Keys.AGENT_STATS, read -> read.hget(Keys.AGENT_STATS, "unknown_heartbeats"));
        return Redis.count(count);
    }

    public Health health(Agent agent, Instant now) {
        return Health.of(agent, now, health);
    }

    /** Agents that are to receive their assignments over Kafka, and from which nothing has arrived over Kafka yet. */
    Set<String> unreached() {
        return redis.sync().smembers(Keys.UNREACHED_AGENTS);
    }

    /** Records that agents are reached: they read their topics, or their endpoints answer. */
    public void markReached(List<String> agentIds) {
        MARK_REACHED.runSync(redis, agentIds);
    }

    /** Records that the endpoint of an agent with delivery push cannot be reached; {@code why} is one sentence. */
    public void markUnreached(String agentId, String why) {
        MARK_UNREACHED.runSync(redis, List.of(agentId, why));
    }

    /** Records the failure of a request that posted an assignment to an agent, and is to be repeated; null if there is none. */
    public void recordPushFailure(String agentId, @Nullable String failure) {
        if (failure == null) {
            redis.sync().hdel(Keys.agent(agentId), PUSH_FAILURE);
        } else if (redis.sync().exists(Keys.agent(agentId)) == 1) {
            redis.sync().hset(Keys.agent(agentId), PUSH_FAILURE, failure);
        }
    }

    /** Why a request that posted an assignment to the agent failed, and for which assignment; empty if none is to be repeated. */
    public Optional<String> pushFailure(String agentId) {
        String key = Keys.agent(agentId);
        return Optional.ofNullable(redis.readHashSync(key, read -> read.hget(key, PUSH_FAILURE)));
    }

    /** All known agents with delivery push, whatever their status. */
    public List<Agent> pushed(Predicate<String> selected) {
        return fetch(redis.sync().smembers(Keys.PUSH_AGENTS).stream()
                .filter(selected)
                .toList());
    }

    /** Whether everything is in Redis that is known of agents and assignments; false after Redis was emptied, until they are restored. */
    public boolean isRestored() {
        return redis.indexMark() != null;
    }

    /** The number of notices published about agents; lower than before if Redis has lost its data. */
    long noticesPublished() {
        return Redis.count(redis.sync().get(Keys.AGENT_EVENT_COUNT));
    }

    /** Agents whose last heartbeat is older than the timeout. */
    List<String> silentAgents(Instant now) {
        if (!health.expectsHeartbeats()) {
            return List.of();
        }
        double limit = now.minus(health.heartbeatTimeout()).toEpochMilli();
        return redis.sync().zrangebyscore(Keys.HEARTBEATS, Range.create(0.0, limit), Limit.create(0, 1_000));
    }

    /**
     * Marks an agent stale, unless a heartbeat arrived meanwhile; true if it is stale now.
     *
     * @param heardUntil heartbeats sent before this time have all been recorded
     */
    boolean markStale(String agentId, Instant heardUntil, Instant now) {
        return MARK_STALE
                .runSync(redis, List.of(agentId, ms(heardUntil.minus(health.heartbeatTimeout())), ms(now)))
                .get(0)
                .equals("stale");
    }

    /** Agents that deregistered before a time and still have a topic, longest gone first. */
    List<String> departedBefore(Instant limit, int most) {
        return redis.sync()
                .zrangebyscore(
                        Keys.DEPARTED_AGENTS, Range.create(0.0, (double) limit.toEpochMilli()), Limit.create(0, most));
    }

    /**
     * Removes the topic of a deregistered agent, unless it has unsettled assignments.
     *
     * @return whether it was removed
     */
    boolean removeTopic(String agentId, Instant now) throws InterruptedException {
        if (!BEGIN_REMOVAL
                .runSync(redis, List.of(agentId, ms(now), String.valueOf(REMOVAL_TIMEOUT.toMillis())))
                .get(0)
                .equals("remove")) {
            return false;
        }
        topics.deleteAgentTopic(agentId);
        boolean gone = END_REMOVAL
                .runSync(redis, List.of(agentId, ms(now), String.valueOf(HASH_RETENTION.toSeconds())))
                .get(0)
                .equals("removed");
        if (!gone) {
            // The removal took so long that the agent has registered again meanwhile.
            topics.createAgentTopics(List.of(agentId));
        }
        return gone;
    }

    private static String ms(Instant time) {
        return String.valueOf(time.toEpochMilli());
    }
}

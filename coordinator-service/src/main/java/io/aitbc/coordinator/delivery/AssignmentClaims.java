package io.aitbc.coordinator.delivery;

import io.aitbc.contracts.Claim;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.registry.HeartbeatTopic;
import io.aitbc.coordinator.registry.RegistrationCopies;
import io.aitbc.coordinator.registry.Registry;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Answers claims of assignments, by agents that pull and by the coordinator that pushes to an agent, at once or when an assignment arrives. An open claim occupies no thread. It polls the
 * outbox on a notice from Redis, and every few seconds, which also keeps its slots open and counts as the heartbeat of an agent that pulls. Thread-safe.
 */
public final class AssignmentClaims implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(AssignmentClaims.class);
    private static final Script OTHER_INSTANCE = Script.load(AssignmentClaims.class, "other-instance");
    private static final Script CLAIM = Script.loadFenced(AssignmentClaims.class, "claim-assignments");

    private static final Duration CHECK_INTERVAL = Duration.ofMillis(100);
    private static final Duration MAX_REFRESH_INTERVAL = Duration.ofSeconds(10);
    /** Slots of a claim whose coordinator has died stay open this long. */
    private static final Duration OPEN_FOR = MAX_REFRESH_INTERVAL.plusSeconds(5);

    /** Each keeps a connection with its buffers open: measured with 5,000 of them. */
    private static final int BYTES_PER_CLAIM = 110_000;

    private static final int MAX_SHARE_OF_HEAP = 3;

    private static final int MAX_OPEN =
            (int) Math.min(20_000, Runtime.getRuntime().maxMemory() / MAX_SHARE_OF_HEAP / BYTES_PER_CLAIM);
    /** Processes that share an agent id. */
    private static final int MAX_OPEN_PER_AGENT = 1_000;

    private static final int MAX_ANSWER_BYTES = 8 * 1024 * 1024;

    private final Redis redis;
    private final Registry registry;
    private final RegistrationCopies copies;
    private final Duration refreshInterval;
    private final Clock clock;
    private final PeriodicJob job = new PeriodicJob("claims", CHECK_INTERVAL, this::check);
    /** By agent. */
    private final Map<String, Set<OpenClaim>> open = new ConcurrentHashMap<>();

    private final AtomicInteger openCount = new AtomicInteger();
    private volatile boolean closing;
    private @Nullable StatefulRedisPubSubConnection<String, String> subscription;

    /** Why a claim is not answered with assignments. */
    public enum Refusal {
        UNKNOWN_AGENT,
        /** The agent is registered for another delivery. */
        OTHER_DELIVERY,
        TOO_MANY_OPEN
    }

    /**
     * The answer to a claim.
     *
     * @param cancelled ids of assignments that the instance should stop working on
     * @param redelivered ids of those assignments that were served before, or may have been before Redis was emptied
     * @param refusal null if the claim is answered with assignments, possibly none
     */
    public record Answer(
            List<JsonNode> assignments,
            List<String> cancelled,
            Set<String> redelivered,
            @Nullable Refusal refusal) {
        static Answer refused(Refusal why) {
            return new Answer(List.of(), List.of(), Set.of(), why);
        }
    }

    AssignmentClaims(Redis redis, Registry registry, HeartbeatTopic heartbeats, MeterRegistry meters, Clock clock) {
        this.redis = redis;
        this.registry = registry;
        this.copies = new RegistrationCopies(registry, heartbeats);
        // A refresh is a heartbeat: one must arrive in time.
        Duration third = registry.healthPolicy().heartbeatTimeout().dividedBy(3);
        this.refreshInterval = registry.healthPolicy().expectsHeartbeats() && third.compareTo(MAX_REFRESH_INTERVAL) < 0
                ? third
                : MAX_REFRESH_INTERVAL;
        this.clock = clock;
        Gauge.builder("coordinator.claims.open", openCount, AtomicInteger::get)
                .description("Claims of assignments that are open at this coordinator")
                .register(meters);
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        closing = true;
        job.close();
        open.values().forEach(claims -> claims.forEach(OpenClaim::poll));
        if (subscription != null) {
            subscription.closeAsync();
        }
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    /** Completes with assignments as soon as there are some, or without any after the claim's waiting time. Fails if Redis does. */
    public CompletableFuture<Answer> claim(String agentId, Claim claim) {
        return claim(agentId, claim, Delivery.PULL, Set.of());
    }

    /**
     * Like {@link #claim}, for the coordinator that pushes to the agent. It is no heartbeat.
     *
     * @param pushing ids of assignments that are not to be served, because they are being pushed
     */
    public CompletableFuture<Answer> claimToPush(String agentId, Claim claim, Set<String> pushing) {
        return claim(agentId, claim, Delivery.PUSH, pushing);
    }

    /** Ends the open claims of an agent at this coordinator: nothing more is reserved for them. */
    public void end(String agentId) {
        open.getOrDefault(agentId, Set.of()).forEach(OpenClaim::end);
    }

    /** Whether another instance than this one has an open claim for the agent, or works on an assignment. */
    public boolean isUsedByAnother(String agentId, String instanceId) {
        return OTHER_INSTANCE
                .runSync(redis, List.of(agentId, instanceId, String.valueOf(clock.millis())))
                .get(0)
                .equals(1L);
    }

    private CompletableFuture<Answer> claim(String agentId, Claim claim, Delivery delivery, Set<String> pushing) {
        // A coordinator has one claim for each agent that it pushes to: agents that pull must not keep it from that.
        boolean isFull = openCount.get() >= MAX_OPEN
                || open.getOrDefault(agentId, Set.of()).size() >= MAX_OPEN_PER_AGENT;
        if (isFull && delivery == Delivery.PULL) {
            return CompletableFuture.completedFuture(Answer.refused(Refusal.TOO_MANY_OPEN));
        }
        openCount.incrementAndGet();
        OpenClaim opened = new OpenClaim(agentId, claim, delivery, pushing);
        // Before the first poll: a notice may arrive right after it.
        open.compute(agentId, (id, claims) -> {
            Set<OpenClaim> all = claims == null ? ConcurrentHashMap.newKeySet() : claims;
            all.add(opened);
            return all;
        });
        opened.answer.whenComplete((done, failure) -> {
            openCount.decrementAndGet();
            open.computeIfPresent(agentId, (id, claims) -> {
                claims.remove(opened);
                return claims.isEmpty() ? null : claims;
            });
        });
        opened.poll();
        return opened.answer;
    }

    private void check() throws InterruptedException {
        subscribe();
        long now = System.nanoTime();
        List<OpenClaim> due = new ArrayList<>();
        Set<String> agentIds = new LinkedHashSet<>();
        open.forEach((agentId, claims) -> claims.forEach(claim -> {
            if (claim.isOver(now)) {
                claim.poll();
            } else if (claim.isDue(now)) {
                due.add(claim);
                if (claim.delivery == Delivery.PULL) {
                    agentIds.add(agentId);
                }
            }
        }));
        if (!due.isEmpty()) {
            registry.recordAlive(agentIds, clock.instant());
            due.forEach(OpenClaim::poll);
        }
        copies.append(open.entrySet().stream()
                .filter(entry -> entry.getValue().stream().anyMatch(claim -> claim.delivery == Delivery.PULL))
                .map(Map.Entry::getKey)
                .toList());
    }

    private void subscribe() {
        if (subscription == null) {
            subscription = redis.subscribe(
                    new RedisPubSubAdapter<>() {
                        @Override
                        public void message(String channel, String message) {
                            onNotice(message.split(" "));
                        }
                    },
                    redis.channel(Keys.DELIVERIES));
        }
    }

    /** @param notice the agent; if a new claim replaces the open one of an instance, also the instance and the id of the new claim */
    private void onNotice(String[] notice) {
        Set<OpenClaim> claims = open.get(notice[0]);
        if (claims == null) {
            return;
        }
        for (OpenClaim claim : claims) {
            if (notice.length == 1) {
                claim.poll();
            } else if (claim.claim.instanceId().equals(notice[1]) && !claim.id.equals(notice[2])) {
                claim.answer.complete(new Answer(List.of(), List.of(), Set.of(), null));
            }
        }
    }

    /** A claim that is not answered yet. It polls the outbox at most once at a time. */
    private final class OpenClaim {
        private final String id = UUID.randomUUID().toString();
        private final String agentId;
        private final Claim claim;
        private final Delivery delivery;
        private final Set<String> pushing;
        private final CompletableFuture<Answer> answer = new CompletableFuture<>();
        private final long untilNanos;
        private long polledNanos = System.nanoTime();
        private boolean isNew = true;
        private boolean polling;
        private boolean pollAgain;
        private boolean ending;

        OpenClaim(String agentId, Claim claim, Delivery delivery, Set<String> pushing) {
            this.agentId = agentId;
            this.claim = claim;
            this.delivery = delivery;
            this.pushing = Set.copyOf(pushing);
            this.untilNanos =
                    System.nanoTime() + Duration.ofSeconds(claim.waitSeconds()).toNanos();
        }

        boolean isOver(long now) {
            return now - untilNanos >= 0;
        }

        synchronized boolean isDue(long now) {
            return now - polledNanos >= refreshInterval.toNanos();
        }

        void end() {
            synchronized (this) {
                ending = true;
            }
            poll();
        }

        void poll() {
            List<String> arguments;
            synchronized (this) {
                if (polling || answer.isDone()) {
                    pollAgain = true;
                    return;
                }
                polling = true;
                pollAgain = false;
                polledNanos = System.nanoTime();
                arguments = arguments(closing || ending || isOver(polledNanos));
                isNew = false;
            }
            CLAIM.run(redis, arguments).whenComplete(this::onAnswer);
        }

        private List<String> arguments(boolean over) {
            return List.of(
                    String.valueOf(clock.millis()),
                    agentId,
                    claim.instanceId(),
                    id,
                    claim.max().toString(),
                    String.valueOf(MAX_ANSWER_BYTES),
                    String.valueOf(over ? 0 : OPEN_FOR.toMillis()),
                    isNew ? "1" : "0",
                    Json.text(claim.received()),
                    redis.channel(Keys.DELIVERIES),
                    String.valueOf(DeliveryLoop.RETENTION.toMillis()),
                    delivery.wireName(),
                    Json.text(pushing));
        }

        private void onAnswer(@Nullable List<Object> result, @Nullable Throwable failure) {
            if (result == null) {
                answer.completeExceptionally(Redis.failure(
                        failure instanceof CompletionException && failure.getCause() != null
                                ? failure.getCause()
                                : failure));
                return;
            }
            try {
                switch ((String) result.get(0)) {
                    case "served", "ended" -> answer.complete(served(result));
                    case "unknown" -> answer.complete(Answer.refused(Refusal.UNKNOWN_AGENT));
                    case "other" -> answer.complete(Answer.refused(Refusal.OTHER_DELIVERY));
                    case "open" -> stayOpen();
                    default ->
                        throw new IllegalStateException("unexpected answer of claim-assignments.lua: " + result.get(0));
                }
            } catch (RuntimeException e) {
                answer.completeExceptionally(e);
            }
        }

        private static Answer served(List<Object> result) {
            List<String> cancelled = new ArrayList<>();
            Json.MAPPER.readTree((String) result.get(1)).forEach(id -> cancelled.add(id.asString()));
            Set<String> redelivered = new LinkedHashSet<>();
            Json.MAPPER.readTree((String) result.get(2)).forEach(id -> redelivered.add(id.asString()));
            List<JsonNode> assignments = new ArrayList<>();
            for (Object body : result.subList(3, result.size())) {
                try {
                    assignments.add(Json.read((String) body, JsonNode.class));
                } catch (Json.MalformedMessageException e) {
                    // The agent gets the others; this attempt is requeued after its deadline.
                    log.atError().log("An assignment cannot be read, and is not delivered: {}", e.getMessage());
                }
            }
            return new Answer(assignments, cancelled, redelivered, null);
        }

        private void stayOpen() {
            boolean mustPoll;
            synchronized (this) {
                polling = false;
                mustPoll = pollAgain;
            }
            if (mustPoll) {
                poll();
            }
        }
    }
}

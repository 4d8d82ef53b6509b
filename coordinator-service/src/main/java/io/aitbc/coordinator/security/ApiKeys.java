package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicFollower;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.Base64;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The API keys. Their hashes are in a compacted topic, which every coordinator reads, so that they outlive Redis. Thread-safe.
 */
public final class ApiKeys implements BackgroundService {
    /** Begins every key: secret scanners find it, and it is no JSON Web Token. */
    static final String PREFIX = "aitbc_";

    private static final Logger log = LoggerFactory.getLogger(ApiKeys.class);
    private static final int SECRET_BYTES = 32;
    private static final int ID_BYTES = 6;
    private static final long WAIT_SECONDS = 10;
    private static final String ADMIN_NAME = "AITBC_ADMIN_KEY";

    private final Producer<String, byte[]> producer;
    private final String topic;
    private final TopicFollower follower;
    private final Optional<String> adminHash;
    private final Optional<Consumer<String>> firstKey;
    private final Clock clock;
    private final SecureRandom random = new SecureRandom();
    private final Map<String, ApiKey> byId = new ConcurrentHashMap<>();
    private final Map<String, ApiKey> byHash = new ConcurrentHashMap<>();
    /** By key id: callers that wait until this coordinator has read a change. */
    private final Map<String, CompletableFuture<Void>> pending = new ConcurrentHashMap<>();

    /**
     * A new key.
     *
     * @param secret shown this once
     */
    public record Created(String secret, Key key) {}

    /** A key, without its secret. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Key(
            @JsonProperty("key_id") String keyId,
            @JsonProperty("name") String name,
            @JsonProperty("role") Role role,
            @JsonProperty("agent_id") @Nullable String agentId,
            @JsonProperty("created_at") Instant createdAt,
            @JsonProperty("expires_at") @Nullable Instant expiresAt) {
        private static Key of(ApiKey key) {
            return new Key(key.keyId(), key.name(), key.role(), key.agentId(), key.createdAt(), key.expiresAt());
        }
    }

    /**
     * @param adminKey a key that is always valid, with role admin; empty: none
     * @param firstKey gets the secret of an admin key that is created at the start if there is none; empty: none is needed
     */
    ApiKeys(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            String adminKey,
            Optional<Consumer<String>> firstKey,
            Clock clock) {
        this.producer = producer;
        this.topic = topics.keys();
        this.adminHash = adminKey.isEmpty() ? Optional.empty() : Optional.of(ApiKey.hash(adminKey));
        this.firstKey = firstKey;
        this.clock = clock;
        this.follower = new TopicFollower(clients, shared, topic, "keys", this::apply, this::publishAgain, clock);
    }

    /** Returns once all keys have been read. */
    @Override
    public void start() throws InterruptedException {
        follower.start();
        if (firstKey.isPresent() && isLoaded() && byId.values().stream().noneMatch(key -> key.role() == Role.ADMIN)) {
            try {
                firstKey.get()
                        .accept(create(new NewKey("first", Role.ADMIN, null, null))
                                .secret());
            } catch (KafkaException e) {
                log.warn("The first admin key was not created, restart to try again: {}", e.toString());
            }
        }
    }

    @Override
    public void close() {
        follower.close();
    }

    @Override
    public List<String> problems() {
        return follower.problems();
    }

    /** Whether all keys have been read. Until then, an unknown one may be valid. */
    boolean isLoaded() {
        return follower.isCaughtUp();
    }

    /** The caller that a secret identifies; empty if there is no such key, or it has been revoked or has expired. */
    Optional<Caller> find(String secret) {
        String hash = ApiKey.hash(secret);
        if (adminHash.filter(hash::equals).isPresent()) {
            return Optional.of(new Caller(ADMIN_NAME, Role.ADMIN, null, null, null));
        }
        return Optional.ofNullable(byHash.get(hash))
                .filter(key -> !key.isExpired(clock.instant()))
                .map(ApiKey::caller);
    }

    /** Whether a caller's key has been neither revoked nor has expired. */
    public boolean isValid(Caller caller) {
        return (caller.keyId() == null || byId.containsKey(caller.keyId()))
                && (caller.expiresAt() == null || clock.instant().isBefore(caller.expiresAt()));
    }

    /** All keys, oldest first. */
    public List<Key> all() {
        return byId.values().stream()
                .sorted(Comparator.comparing(ApiKey::createdAt).thenComparing(ApiKey::keyId))
                .map(Key::of)
                .toList();
    }

    /**
     * Creates a key.
     *
     * @throws KafkaException if Kafka does not accept it
     */
    public Created create(NewKey wanted) throws InterruptedException {
        byte[] bytes = new byte[SECRET_BYTES];
        random.nextBytes(bytes);
        String secret = PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
        byte[] id = new byte[ID_BYTES];
        random.nextBytes(id);
        Instant now = clock.instant();
        ApiKey key = new ApiKey(
                HexFormat.of().formatHex(id),
                wanted.name(),
                wanted.role(),
                wanted.agentId(),
                ApiKey.hash(secret),
                now,
                wanted.expiresInSeconds() == null ? null : now.plusSeconds(wanted.expiresInSeconds()));
        publish(key.keyId(), Json.bytes(key));
        return new Created(secret, Key.of(key));
    }

    /**
     * Revokes a key, on all coordinators.
     *
     * @return false if there is no such key
     * @throws KafkaException if Kafka does not accept it
     */
    public boolean revoke(String keyId) throws InterruptedException {
        if (!byId.containsKey(keyId)) {
            return false;
        }
        publish(keyId, null);
        return true;
    }

    /** Returns once this coordinator has read it. */
    private void publish(String keyId, byte @Nullable [] value) throws InterruptedException {
        CompletableFuture<Void> applied = pending.computeIfAbsent(keyId, id -> new CompletableFuture<>());
        try {
            KafkaClients.send(producer, new ProducerRecord<>(topic, keyId, value))
                    .get(WAIT_SECONDS, TimeUnit.SECONDS);
            applied.get(WAIT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new KafkaException("the change was not accepted: " + KafkaClients.reason(e), e.getCause());
        } catch (TimeoutException e) {
            throw new KafkaException("the change was not accepted within " + WAIT_SECONDS + " s", e);
        } finally {
            pending.remove(keyId, applied);
        }
    }

    private void apply(ConsumerRecord<byte[], byte[]> record) {
        String keyId = new String(record.key(), StandardCharsets.UTF_8);
        ApiKey key = record.value() == null ? null : Json.read(record.value(), ApiKey.class);
        ApiKey before = key == null ? byId.remove(keyId) : byId.put(keyId, key);
        if (before != null) {
            byHash.remove(before.hash());
        }
        if (key != null) {
            byHash.put(key.hash(), key);
        }
        CompletableFuture<Void> waiting = pending.get(keyId);
        if (waiting != null) {
            waiting.complete(null);
        }
    }

    /** The topic has been re-created, and is empty. */
    private void publishAgain() {
        byId.forEach((id, key) -> KafkaClients.send(producer, new ProducerRecord<>(topic, id, Json.bytes(key)))
                .whenComplete((done, failure) -> {
                    if (failure != null) {
                        log.atWarn().addKeyValue("key_id", id).log("Key not published again: {}", failure.toString());
                    }
                }));
    }
}

package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.BackgroundService;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.Base64;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The API keys. Their hashes are in {@link SecurityTopic}. Thread-safe. */
public final class ApiKeys implements BackgroundService {
    /** Begins every key: secret scanners find it, and it is no JSON Web Token. */
    static final String PREFIX = "aitbc_";

    private static final Logger log = LoggerFactory.getLogger(ApiKeys.class);
    private static final int SECRET_BYTES = 32;
    private static final int ID_BYTES = 6;
    private static final String ADMIN_NAME = "AITBC_ADMIN_KEY";

    private final SecurityTopic topic;
    private final KeyUses uses;
    private final Optional<String> adminHash;
    private final Optional<Consumer<String>> firstKey;
    private final Clock clock;
    private final SecureRandom random = new SecureRandom();
    private final Map<String, ApiKey> byId = new ConcurrentHashMap<>();
    private final Map<String, ApiKey> byHash = new ConcurrentHashMap<>();

    /**
     * A new key.
     *
     * @param secret shown this once
     */
    public record Created(String secret, Key key) {}

    /**
     * A key, without its secret.
     *
     * @param lastUsedAt precise to ten minutes; null if it was never used
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Key(
            @JsonProperty("key_id") String keyId,
            @JsonProperty("name") String name,
            @JsonProperty("role") Role role,
            @JsonProperty("agent_id") @Nullable String agentId,
            @JsonProperty("fairness_key") @Nullable String fairnessKey,
            @JsonProperty("created_at") Instant createdAt,
            @JsonProperty("expires_at") @Nullable Instant expiresAt,
            @JsonProperty("last_used_at") @Nullable Instant lastUsedAt) {
        private static Key of(ApiKey key, @Nullable Instant lastUsedAt) {
            return new Key(
                    key.keyId(),
                    key.name(),
                    key.role(),
                    key.agentId(),
                    key.fairnessKey(),
                    key.createdAt(),
                    key.expiresAt(),
                    lastUsedAt);
        }
    }

    /**
     * @param adminKey a key that is always valid, with role admin; empty: none
     * @param firstKey gets the secret of an admin key that is created at the start if there is none; empty: none is needed
     */
    ApiKeys(SecurityTopic topic, String adminKey, Optional<Consumer<String>> firstKey, Clock clock) {
        this.topic = topic;
        this.uses = new KeyUses(topic, byId::containsKey, clock);
        this.adminHash = adminKey.isEmpty() ? Optional.empty() : Optional.of(ApiKey.hash(adminKey));
        this.firstKey = firstKey;
        this.clock = clock;
        topic.onRecord("", this::read);
    }

    /** Returns once all keys have been read. */
    @Override
    public void start() throws InterruptedException {
        topic.start();
        uses.start();
        if (firstKey.isPresent() && isLoaded() && byId.values().stream().noneMatch(key -> key.role() == Role.ADMIN)) {
            try {
                firstKey.get()
                        .accept(create(new NewKey("first", Role.ADMIN, null, null, null))
                                .secret());
            } catch (KafkaException e) {
                log.warn("The first admin key was not created, restart to try again: {}", e.toString());
            }
        }
    }

    @Override
    public void close() {
        uses.close();
        topic.close();
    }

    @Override
    public List<String> problems() {
        return Stream.of(topic.problems(), uses.problems())
                .flatMap(List::stream)
                .toList();
    }

    /** Whether all keys have been read. Until then, an unknown one may be valid. */
    boolean isLoaded() {
        return topic.isLoaded();
    }

    /** The caller that a secret identifies; empty if there is no such key, or it has been revoked or has expired. */
    public Optional<Caller> find(String secret) {
        String hash = ApiKey.hash(secret);
        if (adminHash.filter(hash::equals).isPresent()) {
            return Optional.of(new Caller(ADMIN_NAME, Role.ADMIN, null, null, null, null, null));
        }
        Optional<ApiKey> key = Optional.ofNullable(byHash.get(hash)).filter(known -> !known.isExpired(clock.instant()));
        key.ifPresent(known -> uses.used(known.keyId()));
        return key.map(ApiKey::caller);
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
                .map(key -> Key.of(key, uses.last(key.keyId())))
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
                wanted.fairnessKey(),
                ApiKey.hash(secret),
                now,
                wanted.expiresInSeconds() == null ? null : now.plusSeconds(wanted.expiresInSeconds()));
        topic.put(key.keyId(), Json.bytes(key));
        return new Created(secret, Key.of(key, null));
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
        topic.put(keyId, null);
        return true;
    }

    private void read(String keyId, byte @Nullable [] value) {
        ApiKey key = value == null ? null : Json.read(value, ApiKey.class);
        ApiKey before = key == null ? byId.remove(keyId) : byId.put(keyId, key);
        if (before != null) {
            byHash.remove(before.hash());
        }
        if (key != null) {
            byHash.put(key.hash(), key);
        }
    }
}

package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.Base64;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.security.authentication.AuthenticationServiceException;

/** The API keys. Their hashes are in {@link SecurityTopic}. Thread-safe. */
public final class ApiKeys implements BackgroundService {
    /** Begins every key: secret scanners find it, and it is no JSON Web Token. */
    public static final String PREFIX = "aitbc_";

    private static final Logger log = LoggerFactory.getLogger(ApiKeys.class);
    private static final int SECRET_BYTES = 32;
    private static final int ID_BYTES = 6;
    private static final long RETRY_MS = 500;
    private static final String ADMIN_NAME = "AITBC_ADMIN_KEY";

    private final SecurityTopic topic;
    private final Users users;
    private final KeyUses uses;
    private final Optional<String> adminHash;
    private final Optional<Consumer<String>> firstKey;
    private final Clock clock;
    private final SecureRandom random = new SecureRandom();
    private final Map<String, ApiKey> byId = new ConcurrentHashMap<>();
    private final Map<String, ApiKey> byHash = new ConcurrentHashMap<>();
    /** Ids that were revoked while this coordinator ran. */
    private final Set<String> revoked = ConcurrentHashMap.newKeySet();

    /**
     * A new key.
     *
     * @param secret shown this once
     */
    public record Created(String secret, Key key) {
        /** Without the secret. */
        @Override
        public String toString() {
            return "Created[key=" + key + "]";
        }
    }

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
        private static Key of(ApiKey key, Role role, @Nullable Instant lastUsedAt) {
            return new Key(
                    key.keyId(),
                    key.name(),
                    role,
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
    ApiKeys(SecurityTopic topic, Users users, String adminKey, Optional<Consumer<String>> firstKey, Clock clock) {
        this.topic = topic;
        this.users = users;
        this.uses = new KeyUses(topic, byId::containsKey, clock);
        this.adminHash = adminKey.isEmpty() ? Optional.empty() : Optional.of(ApiKey.hash(adminKey));
        this.firstKey = firstKey;
        this.clock = clock;
        topic.onRecord("", this::read);
    }

    /** Returns once there is an admin key, if one is needed. */
    @Override
    public void start() throws InterruptedException {
        topic.start();
        uses.start();
        if (firstKey.isPresent()) {
            topic.awaitLoaded();
            while (!hasAdmin() && !createFirst(firstKey.get())) {
                TimeUnit.MILLISECONDS.sleep(RETRY_MS);
            }
        }
    }

    private boolean hasAdmin() {
        return byId.values().stream().anyMatch(key -> key.role() == Role.ADMIN);
    }

    private boolean createFirst(Consumer<String> show) throws InterruptedException {
        try {
            show.accept(
                    create(new NewKey("first", Role.ADMIN, null, null, null)).secret());
            return true;
        } catch (KafkaException e) {
            log.warn("The first admin key was not created, will retry: {}", e.toString());
            return false;
        }
    }

    @Override
    public void close() {
        uses.close();
        topic.close();
    }

    @Override
    public List<Problem> problems() {
        return Stream.of(topic.problems(), uses.problems())
                .flatMap(List::stream)
                .toList();
    }

    /** Whether all keys have been read. Until then, an unknown one may be valid. */
    boolean isLoaded() {
        return topic.isLoaded();
    }

    /**
     * The caller that a secret identifies; empty if there is no such key, or it has been revoked or has expired.
     *
     * @throws AuthenticationServiceException if the keys have not been read yet: an unknown one may be valid, and a known one revoked
     */
    public Optional<Caller> find(String secret) {
        String hash = ApiKey.hash(secret);
        if (adminHash.filter(hash::equals).isPresent()) {
            return Optional.of(new Caller(ADMIN_NAME, Role.ADMIN, null, null, null, null, null));
        }
        if (!secret.startsWith(PREFIX)) {
            return Optional.empty();
        }
        requireLoaded();
        Optional<ApiKey> key = Optional.ofNullable(byHash.get(hash)).filter(known -> !known.isExpired(clock.instant()));
        key.ifPresent(known -> uses.used(known.keyId()));
        return key.flatMap(known -> roleOf(known).map(known::caller));
    }

    private void requireLoaded() {
        if (!isLoaded()) {
            throw SecurityTopic.notLoaded();
        }
    }

    /** Empty for the key of a user that no longer exists. A key for reading stays one. */
    private Optional<Role> roleOf(ApiKey key) {
        return key.userId() == null || key.role() == Role.VIEWER
                ? Optional.of(key.role())
                : users.find(key.userId()).map(Users.User::role);
    }

    /** Whether a caller's key has been neither revoked nor has expired. */
    public boolean isValid(Caller caller) {
        return (caller.keyId() == null || byId.containsKey(caller.keyId()))
                && (caller.expiresAt() == null || clock.instant().isBefore(caller.expiresAt()));
    }

    /**
     * All keys, oldest first.
     *
     * @throws AuthenticationServiceException if they have not been read yet
     */
    public List<Key> all() {
        requireLoaded();
        return byId.values().stream()
                .sorted(Comparator.comparing(ApiKey::createdAt).thenComparing(ApiKey::keyId))
                .map(key -> Key.of(key, roleOf(key).orElse(key.role()), uses.last(key.keyId())))
                .toList();
    }

    /**
     * Creates a key.
     *
     * @throws KafkaException if Kafka does not accept it
     */
    public Created create(NewKey wanted) throws InterruptedException {
        return create(wanted, null);
    }

    /** Creates a key of a user, with the role that the user has; a key with role viewer stays one. */
    public Created createOfUser(String userId, Role role) throws InterruptedException {
        return create(new NewKey(userId, role, null, null, null), userId);
    }

    private Created create(NewKey wanted, @Nullable String userId) throws InterruptedException {
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
                userId,
                ApiKey.hash(secret),
                now,
                wanted.expiresInSeconds() == null ? null : now.plusSeconds(wanted.expiresInSeconds()));
        try {
            topic.put(key.keyId(), Json.bytes(key));
        } catch (KafkaException e) {
            // Kafka may have accepted it all the same, and nobody would know its secret.
            topic.putLater(key.keyId(), null);
            throw e;
        }
        return new Created(secret, Key.of(key, key.role(), null));
    }

    /**
     * Revokes a key, on all coordinators.
     *
     * @return false if there is no such key
     * @throws AuthenticationServiceException if the keys have not been read yet
     * @throws KafkaException if Kafka does not accept it
     */
    public boolean revoke(String keyId) throws InterruptedException {
        requireLoaded();
        if (!byId.containsKey(keyId)) {
            return false;
        }
        topic.put(keyId, null);
        return true;
    }

    private void read(String keyId, byte @Nullable [] value) {
        if (value == null) {
            revoked.add(keyId);
        } else if (revoked.contains(keyId)) {
            // Another coordinator restored it, in a re-created topic, before it had read that it is revoked.
            topic.putLater(keyId, null);
            return;
        }
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

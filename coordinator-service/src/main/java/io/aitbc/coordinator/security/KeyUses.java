package io.aitbc.coordinator.security;

import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * When keys were last used, by any coordinator. A use is written to the topic, but at most every ten minutes: in between, only the
 * coordinator that was called knows of it. Its records are apart from those of the keys, so that a late one does not bring a revoked key back.
 * Thread-safe.
 */
final class KeyUses {
    private static final String KIND = "used:";
    private static final Duration PRECISION = Duration.ofMinutes(10);
    private static final Duration INTERVAL = Duration.ofSeconds(5);

    private final SecurityTopic topic;
    private final Predicate<String> exists;
    private final Clock clock;
    private final Map<String, Instant> here = new ConcurrentHashMap<>();
    private final Map<String, Instant> written = new ConcurrentHashMap<>();
    private final PeriodicJob job = new PeriodicJob("key-uses", INTERVAL, this::write);

    /** @param exists whether there is a key with this id */
    KeyUses(SecurityTopic topic, Predicate<String> exists, Clock clock) {
        this.topic = topic;
        this.exists = exists;
        this.clock = clock;
        topic.onRecord(KIND, this::read);
    }

    void start() {
        job.start();
    }

    void close() {
        job.close();
    }

    List<Problem> problems() {
        return job.problems();
    }

    void used(String keyId) {
        here.put(keyId, clock.instant());
    }

    /** Null if it was never used. */
    @Nullable
    Instant last(String keyId) {
        Instant own = here.get(keyId);
        Instant known = written.get(keyId);
        return own == null || known != null && known.isAfter(own) ? known : own;
    }

    private void read(String keyId, byte @Nullable [] value) {
        if (value == null) {
            written.remove(keyId);
        } else {
            written.put(keyId, Instant.parse(new String(value, StandardCharsets.UTF_8)));
        }
    }

    private void write() {
        here.keySet().removeIf(keyId -> !exists.test(keyId));
        here.forEach((keyId, used) -> {
            Instant known = written.get(keyId);
            if (known == null || !used.isBefore(known.plus(PRECISION))) {
                topic.putLater(KIND + keyId, used.toString().getBytes(StandardCharsets.UTF_8));
            }
        });
        if (topic.isLoaded()) {
            written.keySet().stream()
                    .filter(keyId -> !exists.test(keyId))
                    .forEach(keyId -> topic.putLater(KIND + keyId, null));
        }
    }
}

package io.aitbc.coordinator.redis;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Exclusive claims held by one caller at a time, across coordinators. Of concurrent duplicate commands, one is executed, and the
 * others see its outcome. A claim expires if its holder dies. Thread-safe.
 */
public final class Claims {
    private static final Script ACQUIRE = Script.load(Claims.class, "acquire");
    private static final Script RELEASE = Script.load(Claims.class, "release-claims");

    private final Redis redis;

    public Claims(Redis redis) {
        this.redis = redis;
    }

    /**
     * Tries to take the claim; returns whether the caller now holds it, until it is released or expires.
     *
     * @param holder unique for each command
     */
    public boolean tryAcquire(String key, String holder, Duration ttl) {
        return (Long) ACQUIRE.runSync(redis, List.of(key, holder, String.valueOf(ttl.toMillis())))
                        .get(0)
                == 1;
    }

    /** Releases claims that are still the holder's. Need not be waited for: an unreleased claim expires. */
    public CompletableFuture<?> release(String holder, Collection<String> keys) {
        List<String> arguments = new ArrayList<>(keys.size() + 1);
        arguments.add(holder);
        arguments.addAll(keys);
        return RELEASE.run(redis, arguments);
    }
}

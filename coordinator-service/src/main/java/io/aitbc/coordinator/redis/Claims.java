package io.aitbc.coordinator.redis;

import java.time.Duration;
import java.util.List;

/**
 * Exclusive claims held by one caller at a time, across coordinators. Of concurrent duplicate commands, one is executed, and the
 * others see its outcome. A claim expires if its holder dies. Thread-safe.
 */
public final class Claims {
    private static final Script ACQUIRE = Script.load(Claims.class, "acquire");

    private final Redis redis;

    public Claims(Redis redis) {
        this.redis = redis;
    }

    /** Tries to take the claim; returns whether the caller now holds it, until it is released or expires. */
    public boolean tryAcquire(String key, Duration ttl) {
        return (Long) ACQUIRE.runSync(redis, List.of(key, String.valueOf(ttl.toMillis())))
                        .get(0)
                == 1;
    }

    public void release(String key) {
        redis.async().del(key);
    }
}

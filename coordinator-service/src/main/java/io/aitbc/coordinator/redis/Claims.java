package io.aitbc.coordinator.redis;

import io.lettuce.core.SetArgs;
import java.time.Duration;

/**
 * Exclusive claims held by one caller at a time, across coordinators. Of concurrent duplicate commands, one is executed, and the
 * others see its outcome. A claim expires if its holder dies. Thread-safe.
 */
public final class Claims {
    private final Redis redis;

    public Claims(Redis redis) {
        this.redis = redis;
    }

    /** Tries to take the claim; returns whether the caller now holds it, until it is released or expires. */
    public boolean tryAcquire(String key, Duration ttl) {
        return "OK".equals(redis.sync().set(key, "1", SetArgs.Builder.nx().px(ttl.toMillis())));
    }

    public void release(String key) {
        redis.async().del(key);
    }
}

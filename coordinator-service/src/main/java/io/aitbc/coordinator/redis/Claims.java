package io.aitbc.coordinator.redis;

import io.lettuce.core.SetArgs;
import java.time.Duration;

/**
 * Keys that one caller at a time holds, whichever coordinator serves it: of commands that come several at once, one is carried out, and
 * the others see what came of it. A claim ends by itself, should its holder die. May be used by any thread.
 */
public final class Claims {
    private final Redis redis;

    public Claims(Redis redis) {
        this.redis = redis;
    }

    /** Whether the caller holds the claim now, until it lets go or the time is over. */
    public boolean take(String key, Duration lasting) {
        return "OK".equals(redis.sync().set(key, "1", SetArgs.Builder.nx().px(lasting.toMillis())));
    }

    public void letGo(String key) {
        redis.async().del(key);
    }
}

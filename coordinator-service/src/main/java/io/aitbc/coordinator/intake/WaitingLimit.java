package io.aitbc.coordinator.intake;

import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.security.ThrottledException;
import io.lettuce.core.RedisException;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Bounds the tasks that a scope may have waiting, so that no tenant fills the queues. Counted are those that have never been assigned, in
 * Redis, where concurrent submissions may exceed the bound by what they submit at the same moment. While Redis is unavailable, nothing is
 * refused. Thread-safe.
 */
public final class WaitingLimit {
    private static final Logger log = LoggerFactory.getLogger(WaitingLimit.class);
    private static final Script COUNT = Script.load(WaitingLimit.class, "count-waiting");
    private static final Duration RETRY_AFTER = Duration.ofSeconds(10);

    private final Redis redis;
    private final int limit;

    /** @param limit 0: none */
    public WaitingLimit(Redis redis, int limit) {
        this.redis = redis;
        this.limit = limit;
    }

    /**
     * Checks that a scope may submit more tasks.
     *
     * @throws ThrottledException if it may not
     */
    public void require(String fairnessKey, int more) {
        if (limit == 0) {
            return;
        }
        try {
            long waiting =
                    (Long) COUNT.runSync(redis, List.of(fairnessKey, String.valueOf(Math.max(1, limit - more + 1))))
                            .get(0);
            if (waiting + more > limit) {
                throw new ThrottledException(
                        waiting + " tasks of this fairness_key are waiting, and the limit is " + limit, RETRY_AFTER);
            }
        } catch (RedisException e) {
            log.atDebug().log("Waiting tasks not counted, Redis unavailable: {}", e.toString());
        }
    }
}

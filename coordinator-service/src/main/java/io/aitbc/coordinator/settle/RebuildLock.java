package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.SetArgs;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/**
 * The lock under which one coordinator at a time rebuilds the index. It is held in Redis, lost if that is emptied, and renewed for as long
 * as the work takes, so that it soon expires if its holder dies.
 */
final class RebuildLock implements AutoCloseable {
    /** Long enough for a pause of the garbage collector, short enough that a rebuild goes on soon after its coordinator was killed. */
    static final Duration TTL = Duration.ofSeconds(10);

    private final Redis redis;
    private final Attempts attempts;
    private final Clock clock;
    private final Duration ttl;
    private final PeriodicJob renewal;
    private volatile boolean held;

    /** What is done while the lock is held. */
    interface Step {
        void run(String lock, Instant now) throws InterruptedException;
    }

    RebuildLock(Redis redis, Attempts attempts, Clock clock, Duration ttl) {
        this.redis = redis;
        this.attempts = attempts;
        this.clock = clock;
        this.ttl = ttl;
        renewal = new PeriodicJob("index-lock", ttl.dividedBy(4), this::renew);
    }

    void start() {
        renewal.start();
    }

    @Override
    public void close() {
        renewal.close();
    }

    List<Problem> problems() {
        return renewal.problems();
    }

    /** Runs a step, unless another coordinator holds the lock. */
    void run(Step step) throws InterruptedException {
        Instant now = clock.instant();
        String lock = now + " " + UUID.randomUUID() + " " + redis.replicationId();
        if ("OK"
                .equals(redis.sync()
                        .set(Keys.INDEX_REBUILDING, lock, SetArgs.Builder.nx().px(ttl.toMillis())))) {
            held = true;
            try {
                step.run(lock, now);
            } finally {
                held = false;
                attempts.releaseLock(lock);
            }
        }
    }

    /** A lock that was lost stays lost. If another coordinator has taken it since, that one keeps it a little longer if it dies. */
    private void renew() {
        if (held) {
            redis.sync().pexpire(Keys.INDEX_REBUILDING, ttl.toMillis());
        }
    }
}

package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.coordinator.background.Recurring;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.HeartbeatArchive;
import io.lettuce.core.SetArgs;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Redis is an index of what Kafka holds. When it comes back empty, which the missing mark tells, one coordinator fills it again: agents
 * from their heartbeats, what they hold from their topics and the results. Until then nothing is reserved, by anyone.
 */
final class IndexRebuild implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(IndexRebuild.class);
    private static final Duration LOOK_EVERY = Duration.ofMillis(500);

    /** What was granted just before may take so long to the agents' topics. */
    private static final Duration ON_ITS_WAY = Duration.ofSeconds(2);

    /** Whoever rebuilds and has not finished by then has died. */
    private static final Duration LASTS_AT_MOST = Duration.ofMinutes(2);

    private final Redis redis;
    private final HeartbeatArchive heartbeats;
    private final InFlight inFlight;
    private final Attempts attempts;
    private final Clock clock;
    private final Recurring looking = new Recurring("index", LOOK_EVERY, this::look, () -> {});
    private @Nullable Instant missingSince;

    IndexRebuild(Redis redis, HeartbeatArchive heartbeats, InFlight inFlight, Attempts attempts, Clock clock) {
        this.redis = redis;
        this.heartbeats = heartbeats;
        this.inFlight = inFlight;
        this.attempts = attempts;
        this.clock = clock;
    }

    void start() {
        looking.start();
    }

    @Override
    public void close() {
        looking.close();
    }

    private void look() throws InterruptedException {
        if (redis.sync().exists(Keys.INDEX_COMPLETE) == 1) {
            missingSince = null;
            return;
        }
        Instant now = clock.instant();
        if (missingSince == null) {
            missingSince = now;
        }
        if (now.isBefore(missingSince.plus(ON_ITS_WAY))) {
            return;
        }
        if ("OK"
                .equals(redis.sync()
                        .set(
                                Keys.INDEX_REBUILDING,
                                now.toString(),
                                SetArgs.Builder.nx().px(LASTS_AT_MOST.toMillis())))) {
            try {
                rebuild(now);
            } finally {
                redis.sync().del(Keys.INDEX_REBUILDING);
            }
        }
    }

    private void rebuild(Instant now) throws InterruptedException {
        int agents = heartbeats.noteAgain(now);
        Collection<Assignment> out = inFlight.find(now);
        int restored = attempts.restore(out, now);
        redis.sync().set(Keys.INDEX_COMPLETE, clock.instant().toString());
        attempts.tellRebuilt();
        log.atInfo()
                .addKeyValue("agents", agents)
                .addKeyValue("in_flight", restored)
                .addKeyValue("ms", Duration.between(now, clock.instant()).toMillis())
                .log("The index in Redis is filled from Kafka");
    }
}

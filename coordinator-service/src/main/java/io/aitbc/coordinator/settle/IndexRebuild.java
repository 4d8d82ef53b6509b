package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.Recurring;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.HeartbeatArchive;
import io.lettuce.core.SetArgs;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Redis is an index of what Kafka holds. When it comes back empty, which the missing mark tells, one coordinator fills it again: agents
 * from their heartbeats, what they hold from their topics and the results. Until then nothing is reserved, by anyone. Should Redis be
 * emptied once more meanwhile, what was read is thrown away, for it may have ended since.
 */
final class IndexRebuild implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(IndexRebuild.class);
    private static final Duration LOOK_EVERY = Duration.ofMillis(500);

    /** What was granted just before may take so long to the agents' topics. */
    private static final Duration ON_ITS_WAY = Duration.ofSeconds(2);

    /** What took longer, because a coordinator stood still, is looked for once more. */
    private static final Duration LATECOMERS_AFTER = Duration.ofSeconds(10);

    /** Whoever rebuilds and has not finished by then has died. */
    private static final Duration LASTS_AT_MOST = Duration.ofMinutes(2);

    private final Redis redis;
    private final SpoiltKeys spoiltKeys;
    private final HeartbeatArchive heartbeats;
    private final InFlight inFlight;
    private final Attempts attempts;
    private final Clock clock;
    private final Recurring looking = new Recurring("index", LOOK_EVERY, this::look, () -> {});
    /** As {@link System#nanoTime} tells, so that no clock that is set back keeps what is reserved for agents unknown. */
    private @Nullable Long missingSince;

    private @Nullable Long latecomersAt;

    private interface Step {
        void run(String turn, Instant now) throws InterruptedException;
    }

    IndexRebuild(
            Redis redis,
            SpoiltKeys spoiltKeys,
            HeartbeatArchive heartbeats,
            InFlight inFlight,
            Attempts attempts,
            Clock clock) {
        this.redis = redis;
        this.spoiltKeys = spoiltKeys;
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

    List<String> troubles() {
        return looking.troubles();
    }

    private void look() throws InterruptedException {
        long time = System.nanoTime();
        if (spoiltKeys.look(clock.instant()) && latecomersAt == null) {
            latecomersAt = time + ON_ITS_WAY.toNanos();
        }
        if (isComplete()) {
            missingSince = null;
            if (latecomersAt != null && time - latecomersAt >= 0) {
                alone(this::lookForLatecomers);
            }
            return;
        }
        if (missingSince == null) {
            missingSince = time;
        }
        if (time - missingSince >= ON_ITS_WAY.toNanos() || !inFlight.isPossible()) {
            alone(this::rebuild);
        }
    }

    private boolean isComplete() {
        return redis.sync().exists(Keys.INDEX_COMPLETE) == 1;
    }

    /** One coordinator at a time; whose turn it is stands in Redis, and is gone when that is emptied. */
    private void alone(Step step) throws InterruptedException {
        Instant now = clock.instant();
        String turn = now + " " + UUID.randomUUID();
        SetArgs ifNobodyElse = SetArgs.Builder.nx().px(LASTS_AT_MOST.toMillis());
        if ("OK".equals(redis.sync().set(Keys.INDEX_REBUILDING, turn, ifNobodyElse))) {
            try {
                step.run(turn, now);
            } finally {
                attempts.endTurn(turn);
            }
        }
    }

    private void rebuild(String turn, Instant now) throws InterruptedException {
        if (isComplete()) {
            // Another has done it since this one looked.
            return;
        }
        // Should this fail, because Kafka is away, then what is on its way may be held up as well: it gets its time
        // again.
        missingSince = null;
        int agents = heartbeats.noteAgain(now);
        InFlight.Found found = inFlight.find(now);
        int restored = attempts.restore(turn, found.live(), now);
        int completed = attempts.recordCompleted(turn, found.completed(), now);
        attempts.indexIsComplete(turn, clock.instant());
        attempts.tellRebuilt();
        latecomersAt = System.nanoTime() + LATECOMERS_AFTER.toNanos();
        log.atInfo()
                .addKeyValue("agents", agents)
                .addKeyValue("in_flight", restored)
                .addKeyValue("completed", completed)
                .addKeyValue("ms", Duration.between(now, clock.instant()).toMillis())
                .log("The index in Redis is filled from Kafka");
    }

    private void lookForLatecomers(String turn, Instant now) throws InterruptedException {
        // Of an agent, too, what was known may have been set aside.
        heartbeats.noteAgain(now);
        int restored = attempts.restore(turn, inFlight.find(now).live(), now);
        latecomersAt = null;
        if (restored > 0) {
            log.atInfo().addKeyValue("in_flight", restored).log("What the index did not hold is in it now");
        }
    }
}

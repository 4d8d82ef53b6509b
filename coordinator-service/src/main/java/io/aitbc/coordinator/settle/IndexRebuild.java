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
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Rebuilds the index in Redis from Kafka. When Redis comes back empty, which the missing mark shows, one coordinator restores agents from
 * their heartbeats, and their live attempts from agents' topics and results. Until then no coordinator reserves anything. If Redis is
 * emptied again meanwhile, what was read is discarded, because it may have ended since.
 */
final class IndexRebuild implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(IndexRebuild.class);
    private static final Duration LOOK_EVERY = Duration.ofMillis(500);

    /** Time for assignments granted just before to reach the agents' topics. */
    private static final Duration ON_ITS_WAY = Duration.ofSeconds(2);

    /** Delay of the second search, for assignments delayed longer by a paused coordinator. */
    private static final Duration LATECOMERS_AFTER = Duration.ofSeconds(10);

    /** Expiry of a turn whose coordinator has died. */
    private static final Duration LASTS_AT_MOST = Duration.ofMinutes(2);

    private final Redis redis;
    private final SpoiltKeys spoiltKeys;
    private final HeartbeatArchive heartbeats;
    private final InFlight inFlight;
    private final Attempts attempts;
    private final Clock clock;
    private final Recurring looking = new Recurring("index", LOOK_EVERY, this::look, () -> {});
    /** Monotonic ({@link System#nanoTime}), so that a clock set back does not prolong the wait. */
    private @Nullable Long missingSince;

    private @Nullable Long latecomersAt;
    /** Where unsettled results began when this coordinator rebuilt the index. Empty after it has looked for latecomers. */
    private Map<TopicPartition, Long> rebuiltFrom = Map.of();

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

    /** Runs a step on one coordinator at a time. The turn is held in Redis, and lost if that is emptied. */
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
            // Another coordinator has rebuilt it meanwhile.
            return;
        }
        // If this fails because Kafka is unavailable, assignments on their way may be delayed too: wait again.
        missingSince = null;
        int agents = heartbeats.noteAgain(now);
        rebuiltFrom = inFlight.unsettledFrom();
        InFlight.Found found = inFlight.find(now, rebuiltFrom);
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
                .log("Rebuilt the index in Redis from Kafka");
    }

    private void lookForLatecomers(String turn, Instant now) throws InterruptedException {
        // An agent may have been set aside too.
        heartbeats.noteAgain(now);
        InFlight.Found found = inFlight.find(now, rebuiltFrom.isEmpty() ? inFlight.unsettledFrom() : rebuiltFrom);
        int restored = attempts.restore(turn, found.live(), now);
        int completed = attempts.recordCompleted(turn, found.completed(), now);
        latecomersAt = null;
        rebuiltFrom = Map.of();
        if (restored + completed > 0) {
            log.atInfo()
                    .addKeyValue("in_flight", restored)
                    .addKeyValue("completed", completed)
                    .log("Added missing assignments to the index");
        }
    }
}

package io.aitbc.coordinator.settle;

import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.HeartbeatArchive;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Rebuilds the index in Redis from Kafka. When Redis comes back empty, as the missing mark shows, one coordinator restores agents from
 * their heartbeats, and their live attempts from agents' topics and results. Until then no coordinator reserves anything. If Redis is
 * emptied again meanwhile, the attempts that were read are discarded, because they may have ended since.
 *
 * <p>A Redis that was started again, or a replica that has replaced it, may have lost the last writes. So the mark has the replication id for which the
 * index was verified, and every script compares it. When it differs, the same steps correct what Kafka shows to be newer.
 */
final class IndexRebuild implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(IndexRebuild.class);
    private static final Duration CHECK_INTERVAL = Duration.ofMillis(500);

    /** Time for assignments granted just before to reach the agents' topics. */
    private static final Duration PUBLICATION_DELAY = Duration.ofSeconds(2);

    /**
     * After a promoted replica was found. Until then its old primary may still accept writes from a coordinator that sees no other:
     * {@code min-replicas-max-lag}, 10 s by default, and what the check of that takes.
     */
    private static final Duration FENCING_DELAY = Duration.ofSeconds(12);

    /** Delay of the second search, for assignments delayed longer by a paused coordinator. */
    private static final Duration SECOND_SEARCH_DELAY = Duration.ofSeconds(10);

    /** Until the second search is over. */
    private static final Duration RESTORED_TTL = SECOND_SEARCH_DELAY.multipliedBy(3);

    /** Upper bound of the time until a corrupt key is detected. */
    private static final Duration MAX_DETECTION_DELAY = Duration.ofMinutes(1);

    private final Redis redis;
    private final CorruptKeys corruptKeys;
    private final HeartbeatArchive heartbeats;
    private final InFlight inFlight;
    private final Attempts attempts;
    private final TaskEvents events;
    private final Clock clock;
    private final RebuildLock lock;
    private final Conversion conversion;
    private final PeriodicJob job = new PeriodicJob("index", CHECK_INTERVAL, this::check);
    /** Monotonic ({@link System#nanoTime}), so that a clock set back does not prolong the wait. */
    private @Nullable Long missingSince;

    private @Nullable Long secondSearchAt;
    /** When a corrupt key was last noticed, until a search has begun that finds whatever was assigned before. */
    private @Nullable Long corruptAt;
    /** Where unsettled results began when this coordinator rebuilt the index. Empty after the second search. */
    private Map<TopicPartition, Long> rebuiltFrom = Map.of();

    IndexRebuild(
            Redis redis,
            CorruptKeys corruptKeys,
            HeartbeatArchive heartbeats,
            InFlight inFlight,
            Attempts attempts,
            TaskEvents events,
            Clock clock) {
        this.redis = redis;
        this.events = events;
        this.corruptKeys = corruptKeys;
        this.heartbeats = heartbeats;
        this.inFlight = inFlight;
        this.attempts = attempts;
        this.clock = clock;
        this.conversion = new Conversion(redis, attempts);
        this.lock = new RebuildLock(redis, attempts, clock, RebuildLock.TTL);
    }

    void start() {
        lock.start();
        job.start();
    }

    @Override
    public void close() {
        job.close();
        lock.close();
    }

    List<Problem> problems() {
        return Stream.of(job.problems(), lock.problems()).flatMap(List::stream).toList();
    }

    private void check() throws InterruptedException {
        long time = System.nanoTime();
        String mark = redis.readText(Keys.INDEX_COMPLETE);
        if (mark != null && !mark.startsWith(Keys.FORMAT)) {
            redis.checkFormat();
            // All scripts fail until this has ended.
            lock.run(conversion::run);
            return;
        }
        if (corruptKeys.check(clock.instant())) {
            corruptAt = time;
        }
        if (corruptAt != null && secondSearchAt == null) {
            secondSearchAt = corruptAt + PUBLICATION_DELAY.toNanos();
        }
        if (redis.noteWritten() != null) {
            missingSince = null;
            if (secondSearchAt != null && time - secondSearchAt >= 0) {
                lock.run(this::searchAgain);
            }
            return;
        }
        if (missingSince == null) {
            missingSince = time;
        }
        if (time - missingSince < FENCING_DELAY.toNanos() && redis.hasEarlierId()) {
            return;
        }
        if (time - missingSince >= PUBLICATION_DELAY.toNanos() || !inFlight.isPossible()) {
            lock.run(this::rebuild);
        }
    }

    private void rebuild(String lock, Instant now) throws InterruptedException {
        if (redis.indexMark() != null) {
            // Another coordinator has rebuilt it meanwhile.
            return;
        }
        Instant writtenAt = redis.writtenAt();
        boolean wasVerified = writtenAt != null;
        // If this fails because Kafka is unavailable, assignments on their way may be delayed too: wait again.
        missingSince = null;
        int agents = heartbeats.replay(now);
        rebuiltFrom = inFlight.unsettledFrom();
        InFlight.Uncommitted uncommitted =
                writtenAt == null ? inFlight.uncommitted(rebuiltFrom) : inFlight.lostSince(writtenAt, now);
        InFlight.Found found = inFlight.find(now, rebuiltFrom, uncommitted);
        int restored = attempts.restore(lock, found.live(), now);
        List<TaskResult> settled = attempts.recordSettled(lock, found.settled(), wasVerified, now);
        int ended = attempts.recordEnded(lock, inFlight.endedSince(uncommitted.since()), wasVerified);
        if (inFlight.isPossible()) {
            redis.sync().setex(Keys.INDEX_RESTORED, RESTORED_TTL.toSeconds(), now.toString());
        }
        if (wasVerified) {
            publishCompleted(settled, now);
        }
        attempts.markIndexComplete(lock, clock.instant());
        attempts.publishRebuilt();
        secondSearchAt = System.nanoTime() + SECOND_SEARCH_DELAY.toNanos();
        log.atInfo()
                .addKeyValue("agents", agents)
                .addKeyValue("in_flight", restored)
                .addKeyValue("settled", settled.size())
                .addKeyValue("ended", ended)
                .addKeyValue("ms", Duration.between(now, clock.instant()).toMillis())
                .log(
                        wasVerified
                                ? "Redis may have lost writes: verified its index against Kafka"
                                : "Rebuilt the index in Redis from Kafka");
    }

    private void searchAgain(String lock, Instant now) throws InterruptedException {
        long began = System.nanoTime();
        // An agent may have been quarantined too.
        heartbeats.replay(now);
        InFlight.Found found = inFlight.find(
                now,
                // Without a rebuild, a corrupt key is being replaced: results were ignored from when it was
                // quarantined.
                rebuiltFrom.isEmpty() ? inFlight.reportedSince(now.minus(MAX_DETECTION_DELAY)) : rebuiltFrom,
                InFlight.Uncommitted.NONE);
        int restored = attempts.restore(lock, found.live(), now);
        List<TaskResult> settled = attempts.recordSettled(lock, found.settled(), false, now);
        // When these results were read, their tasks were unknown.
        publishCompleted(settled, now);
        if (corruptAt != null) {
            // Waiting tasks may have been quarantined too.
            attempts.publishRebuilt();
            if (began - corruptAt >= PUBLICATION_DELAY.toNanos()) {
                corruptAt = null;
            }
        }
        secondSearchAt = null;
        rebuiltFrom = Map.of();
        if (restored + settled.size() > 0) {
            log.atInfo()
                    .addKeyValue("in_flight", restored)
                    .addKeyValue("settled", settled.size())
                    .log("Added missing assignments to the index");
        }
    }

    private void publishCompleted(List<TaskResult> settled, Instant now) throws InterruptedException {
        TaskEvents.await(events.publish(settled.stream()
                .filter(result -> result.status() == TaskResult.Status.COMPLETED)
                .map(result -> TaskEvent.completed(result, now))
                .toList()));
    }
}

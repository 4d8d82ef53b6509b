package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.GroupMembers;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.RedisException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends heartbeats through Redis, and removes coordinators that have fallen silent from the consumer groups, so that the others take over
 * their partitions before the session timeout of the group. One that was only slow rejoins. Safety does not depend on it: if two
 * coordinators own a partition for a while, the fence in Redis admits one attempt of each task, as after a session timeout.
 */
public final class FailureDetector implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(FailureDetector.class);
    private static final Duration INTERVAL = Duration.ofMillis(500);
    /** Six heartbeats. Shorter would remove coordinators that collect garbage, or share a busy machine. */
    private static final Duration TIMEOUT = Duration.ofSeconds(3);

    private static final Duration MAX_GAP = Duration.ofMillis(1_500);

    private final String coordinatorId;
    private final Redis redis;
    private final GroupMembers members;
    private final Suspicions suspicions;
    private final PeriodicJob job = new PeriodicJob("failure-detector", INTERVAL, this::beat, this::leave);
    private long counter;

    FailureDetector(CoordinatorId id, Redis redis, GroupMembers members) {
        this.coordinatorId = id.text();
        this.redis = redis;
        this.members = members;
        this.suspicions = new Suspicions(coordinatorId, TIMEOUT, MAX_GAP);
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    private void beat() {
        redis.sync().hset(Keys.ALIVE, coordinatorId, String.valueOf(counter++));
        Map<String, String> counters = redis.sync().hgetall(Keys.ALIVE);
        for (String silent : suspicions.update(counters, System.nanoTime())) {
            // One coordinator removes it. If it is only slow, its next heartbeat adds it again.
            if (redis.sync().hdel(Keys.ALIVE, silent) == 1) {
                remove(silent, counters.getOrDefault(silent, ""));
            }
        }
    }

    /** Not awaited: while Kafka does not respond, this coordinator must not fall silent too. */
    private void remove(String silent, String lastCounter) {
        members.remove(silent).whenComplete((wasMember, failure) -> {
            if (failure != null) {
                log.atWarn()
                        .addKeyValue("coordinator", silent)
                        .log("A silent coordinator could not be removed, will retry: {}", failure.toString());
                suspectAgain(silent, lastCounter);
            } else if (wasMember) {
                log.atWarn()
                        .addKeyValue("coordinator", silent)
                        .addKeyValue("timeout_ms", TIMEOUT.toMillis())
                        .log("A coordinator sends no heartbeats: the others take over its partitions");
            }
        });
    }

    private void suspectAgain(String silent, String lastCounter) {
        try {
            redis.async().hsetnx(Keys.ALIVE, silent, lastCounter);
        } catch (RedisException e) {
            log.atDebug().log("The session timeout decides: {}", e.toString());
        }
    }

    private void leave() {
        redis.sync().hdel(Keys.ALIVE, coordinatorId);
    }
}

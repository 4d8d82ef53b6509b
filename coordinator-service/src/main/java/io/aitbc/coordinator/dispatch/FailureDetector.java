package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.GroupMembers;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends heartbeats through Redis, and removes coordinators that have fallen silent from the consumer groups, so that the others take over
 * their partitions before the session timeout of the group. One that was only slow rejoins. It changes nothing about safety: two owners
 * of a partition are told apart by the fence in Redis, as after a session timeout.
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
    public List<String> problems() {
        return job.problems();
    }

    private void beat() throws InterruptedException, ExecutionException, TimeoutException {
        redis.sync().hset(Keys.ALIVE, coordinatorId, String.valueOf(counter++));
        Map<String, String> counters = redis.sync().hgetall(Keys.ALIVE);
        for (String silent : suspicions.update(counters, System.nanoTime())) {
            if (members.remove(silent)) {
                log.atWarn()
                        .addKeyValue("coordinator", silent)
                        .addKeyValue("timeout_ms", TIMEOUT.toMillis())
                        .log("A coordinator sends no heartbeats: the others take over its partitions");
            }
            // If it is only slow, its next heartbeat brings it back.
            redis.sync().hdel(Keys.ALIVE, silent);
        }
    }

    private void leave() {
        redis.sync().hdel(Keys.ALIVE, coordinatorId);
    }
}

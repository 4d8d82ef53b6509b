package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.RedisException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells the cluster once a second what this coordinator's lane looks like, and reads what the others told. */
public final class FiguresReport implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(FiguresReport.class);
    private static final long EVERY_MS = 1_000;
    private static final Duration CURRENT = Duration.ofSeconds(10);
    private static final Duration FORGOTTEN = Duration.ofHours(1);

    private final String coordinatorId;
    private final Dispatcher dispatcher;
    private final Redis redis;
    private final Clock clock;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final Thread thread = new Thread(this::run, "figures");

    FiguresReport(String coordinatorId, Dispatcher dispatcher, Redis redis, Clock clock) {
        this.coordinatorId = coordinatorId;
        this.dispatcher = dispatcher;
        this.redis = redis;
        this.clock = clock;
    }

    public void start() {
        thread.start();
    }

    @Override
    public void close() {
        closing.countDown();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(5));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The figures of all coordinators that are at work, by id. */
    public Map<String, LaneFigures> all() {
        Instant now = clock.instant();
        Map<String, LaneFigures> current = new HashMap<>();
        redis.sync().hgetall(Keys.COORDINATORS).forEach((id, json) -> {
            LaneFigures figures = Json.read(json, LaneFigures.class);
            Duration age = Duration.between(figures.at(), now);
            if (age.compareTo(CURRENT) <= 0) {
                current.put(id, figures);
            } else if (age.compareTo(FORGOTTEN) > 0) {
                redis.async().hdel(Keys.COORDINATORS, id);
            }
        });
        return current;
    }

    private void run() {
        try {
            while (!closing.await(EVERY_MS, TimeUnit.MILLISECONDS)) {
                try {
                    redis.sync().hset(Keys.COORDINATORS, coordinatorId, Json.text(dispatcher.figures()));
                } catch (RedisException e) {
                    log.atDebug().log("Figures not told: {}", e.toString());
                }
            }
            redis.sync().hdel(Keys.COORDINATORS, coordinatorId);
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        } catch (RedisException e) {
            log.atDebug().log("Figures not withdrawn: {}", e.toString());
        }
    }
}

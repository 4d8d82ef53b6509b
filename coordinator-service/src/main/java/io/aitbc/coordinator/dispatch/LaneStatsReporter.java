package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Publishes this coordinator's lane stats once a second, and reads those of the others. */
public final class LaneStatsReporter implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(LaneStatsReporter.class);
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    private static final Duration MAX_AGE = Duration.ofSeconds(10);
    private static final Duration REMOVE_AFTER = Duration.ofHours(1);

    private final String coordinatorId;
    private final Dispatcher dispatcher;
    private final Redis redis;
    private final Clock clock;
    private final PeriodicJob publisher = new PeriodicJob("lane-stats", INTERVAL, this::publish, this::withdraw);

    LaneStatsReporter(String coordinatorId, Dispatcher dispatcher, Redis redis, Clock clock) {
        this.coordinatorId = coordinatorId;
        this.dispatcher = dispatcher;
        this.redis = redis;
        this.clock = clock;
    }

    @Override
    public void start() {
        publisher.start();
    }

    @Override
    public void close() {
        publisher.close();
    }

    @Override
    public List<Problem> problems() {
        return publisher.problems();
    }

    /** The stats of all live coordinators, by id. */
    public Map<String, LaneStats> all() {
        Instant now = clock.instant();
        Map<String, LaneStats> current = new HashMap<>();
        redis.sync().hgetall(Keys.COORDINATORS).forEach((id, json) -> {
            try {
                LaneStats stats = Json.read(json, LaneStats.class);
                Duration age = Duration.between(stats.at(), now);
                if (age.compareTo(MAX_AGE) <= 0) {
                    current.put(id, stats);
                } else if (age.compareTo(REMOVE_AFTER) > 0) {
                    redis.async().hdel(Keys.COORDINATORS, id);
                }
            } catch (Json.MalformedMessageException e) {
                // Possibly from a newer version: the others are returned all the same.
                log.atDebug().addKeyValue("coordinator", id).log("Malformed lane stats: {}", e.getMessage());
            }
        });
        return current;
    }

    private void publish() {
        redis.sync().hset(Keys.COORDINATORS, coordinatorId, Json.text(dispatcher.stats()));
    }

    private void withdraw() {
        redis.sync().hdel(Keys.COORDINATORS, coordinatorId);
    }
}

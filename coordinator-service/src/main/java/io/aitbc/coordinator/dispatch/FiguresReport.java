package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.Recurring;
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

/** Publishes this coordinator's lane figures once a second, and reads those of the others. */
public final class FiguresReport implements Part {
    private static final Logger log = LoggerFactory.getLogger(FiguresReport.class);
    private static final Duration EVERY = Duration.ofSeconds(1);
    private static final Duration CURRENT = Duration.ofSeconds(10);
    private static final Duration FORGOTTEN = Duration.ofHours(1);

    private final String coordinatorId;
    private final Dispatcher dispatcher;
    private final Redis redis;
    private final Clock clock;
    private final Recurring telling = new Recurring("figures", EVERY, this::tell, this::withdraw);

    FiguresReport(String coordinatorId, Dispatcher dispatcher, Redis redis, Clock clock) {
        this.coordinatorId = coordinatorId;
        this.dispatcher = dispatcher;
        this.redis = redis;
        this.clock = clock;
    }

    @Override
    public void start() {
        telling.start();
    }

    @Override
    public void close() {
        telling.close();
    }

    @Override
    public List<String> troubles() {
        return telling.troubles();
    }

    /** The figures of all live coordinators, by id. */
    public Map<String, LaneFigures> all() {
        Instant now = clock.instant();
        Map<String, LaneFigures> current = new HashMap<>();
        redis.sync().hgetall(Keys.COORDINATORS).forEach((id, json) -> {
            try {
                LaneFigures figures = Json.read(json, LaneFigures.class);
                Duration age = Duration.between(figures.at(), now);
                if (age.compareTo(CURRENT) <= 0) {
                    current.put(id, figures);
                } else if (age.compareTo(FORGOTTEN) > 0) {
                    redis.async().hdel(Keys.COORDINATORS, id);
                }
            } catch (Json.MalformedMessageException e) {
                // Possibly from a newer version: the others are returned all the same.
                log.atDebug().addKeyValue("coordinator", id).log("Malformed figures: {}", e.getMessage());
            }
        });
        return current;
    }

    private void tell() {
        redis.sync().hset(Keys.COORDINATORS, coordinatorId, Json.text(dispatcher.figures()));
    }

    private void withdraw() {
        redis.sync().hdel(Keys.COORDINATORS, coordinatorId);
    }
}

package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.Pace;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.Registry;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Checks Redis for corrupt keys, and warns of each that was set aside, by any script or coordinator. Owned by the thread {@code index}. */
final class SpoiltKeys {
    private static final Logger log = LoggerFactory.getLogger(SpoiltKeys.class);
    private static final Duration WARN_AT_MOST_EVERY = Duration.ofSeconds(10);
    private static final Duration REINDEX_AT_MOST_EVERY = Duration.ofSeconds(5);
    private static final int MOST_NAMED = 50;
    /** Prefix of all sets of agents. */
    private static final String SETS_OF_AGENTS = "agents:";

    private final Redis redis;
    private final Registry registry;
    private final Pace warnings = new Pace(WARN_AT_MOST_EVERY);
    private final Pace reindexing = new Pace(REINDEX_AT_MOST_EVERY);
    private final List<String> unsaid = new ArrayList<>();
    private int unnamed;
    private boolean reindex;

    SpoiltKeys(Redis redis, Registry registry) {
        this.redis = redis;
        this.registry = registry;
    }

    /** Returns whether something was set aside that Kafka may restore: an agent, a task, or an agent's assignments. */
    boolean look(Instant now) {
        boolean lost = false;
        for (String report : redis.inspect()) {
            lost |= report.startsWith(Keys.agent("")) || report.startsWith(Keys.task(""));
            reindex |= report.startsWith(SETS_OF_AGENTS);
            if (unsaid.size() < MOST_NAMED) {
                unsaid.add(report);
            } else {
                unnamed++;
            }
        }
        if (reindex && reindexing.isDue()) {
            registry.reindex(now);
            reindex = false;
        }
        if (!unsaid.isEmpty() && warnings.isDue()) {
            log.warn(
                    "Corrupt keys in Redis, set aside as {}… for a week: {}{}",
                    Keys.SPOILT,
                    String.join(", ", unsaid),
                    unnamed == 0 ? "" : ", and " + unnamed + " more");
            unsaid.clear();
            unnamed = 0;
        }
        return lost;
    }
}

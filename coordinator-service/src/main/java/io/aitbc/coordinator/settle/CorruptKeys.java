package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.Registry;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Checks Redis for corrupt keys, and warns of each that was quarantined, by any script or coordinator. Owned by the thread {@code index}. */
final class CorruptKeys {
    private static final Logger log = LoggerFactory.getLogger(CorruptKeys.class);
    private static final Duration WARN_INTERVAL = Duration.ofSeconds(10);
    private static final Duration REINDEX_INTERVAL = Duration.ofSeconds(5);
    private static final int MAX_NAMED = 50;
    /** Prefix of all sets of agents. */
    private static final String AGENT_SET_PREFIX = "agents:";

    private final Redis redis;
    private final Registry registry;
    private final RateLimiter warnLimiter = new RateLimiter(WARN_INTERVAL);
    private final RateLimiter reindexLimiter = new RateLimiter(REINDEX_INTERVAL);
    private final List<String> pendingWarnings = new ArrayList<>();
    private int omittedCount;
    private boolean reindex;

    CorruptKeys(Redis redis, Registry registry) {
        this.redis = redis;
        this.registry = registry;
    }

    /** Returns whether something was quarantined that Kafka may restore: an agent, a task, or an agent's assignments. */
    boolean check(Instant now) {
        boolean lost = false;
        for (String report : redis.inspect()) {
            lost |= report.startsWith(Keys.agent("")) || report.startsWith(Keys.task(""));
            reindex |= report.startsWith(AGENT_SET_PREFIX);
            if (pendingWarnings.size() < MAX_NAMED) {
                pendingWarnings.add(report);
            } else {
                omittedCount++;
            }
        }
        if (reindex && reindexLimiter.tryAcquire()) {
            registry.reindex(now);
            reindex = false;
        }
        if (!pendingWarnings.isEmpty() && warnLimiter.tryAcquire()) {
            log.warn(
                    "Corrupt keys in Redis, quarantined as {}… for a week: {}{}",
                    Keys.QUARANTINE_PREFIX,
                    String.join(", ", pendingWarnings),
                    omittedCount == 0 ? "" : ", and " + omittedCount + " more");
            pendingWarnings.clear();
            omittedCount = 0;
        }
        return lost;
    }
}

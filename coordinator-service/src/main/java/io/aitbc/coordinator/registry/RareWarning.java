package io.aitbc.coordinator.registry;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Set;
import org.slf4j.Logger;

/** A warning about agents that may be due many times a second, and is given once in a while, with the names. Owned by one thread. */
final class RareWarning {
    private static final Duration EVERY = Duration.ofSeconds(30);
    private static final int MOST_NAMES = 10;

    private final Logger log;
    private final String message;
    private final Set<String> agentIds = new LinkedHashSet<>();
    private long times;
    private Instant next = Instant.EPOCH;

    /** @param message with a place for how often, and one for the names */
    RareWarning(Logger log, String message) {
        this.log = log;
        this.message = message;
    }

    void about(String agentId) {
        times++;
        if (agentIds.size() < MOST_NAMES) {
            agentIds.add(agentId);
        }
    }

    /** Says what there is to say, if the last time is long enough ago. */
    void say(Instant now) {
        if (times == 0 || now.isBefore(next)) {
            return;
        }
        log.warn(message, times, String.join(", ", agentIds));
        agentIds.clear();
        times = 0;
        next = now.plus(EVERY);
    }
}

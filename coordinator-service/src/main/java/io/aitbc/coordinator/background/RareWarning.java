package io.aitbc.coordinator.background;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Set;
import org.slf4j.Logger;

/** An aggregated warning: may occur many times a second, and is logged once in a while with some examples. Thread-safe. */
public final class RareWarning {
    private static final Duration EVERY = Duration.ofSeconds(30);
    private static final int MOST_EXAMPLES = 10;

    private final Logger log;
    private final String message;
    private final Set<String> examples = new LinkedHashSet<>();
    private long times;
    private Instant next = Instant.EPOCH;

    /** @param message with one placeholder for the count and one for the examples */
    public RareWarning(Logger log, String message) {
        this.log = log;
        this.message = message;
    }

    public synchronized void about(String example) {
        times++;
        if (examples.size() < MOST_EXAMPLES) {
            examples.add(example);
        }
    }

    /** Logs what has accumulated if the last line is old enough, or lies in the future because the clock was set back. */
    public synchronized void say(Instant now) {
        if (times == 0 || now.isBefore(next) && !now.isBefore(next.minus(EVERY))) {
            return;
        }
        log.warn(message, times, String.join(", ", examples));
        examples.clear();
        times = 0;
        next = now.plus(EVERY);
    }
}

package io.aitbc.coordinator.background;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Set;
import org.slf4j.Logger;

/** A warning that may occur many times a second; logged at most every 30 seconds, with a count and some examples. Thread-safe. */
public final class ThrottledWarning {
    private static final Duration INTERVAL = Duration.ofSeconds(30);
    private static final int MAX_EXAMPLES = 10;

    private final Logger log;
    private final String message;
    private final Set<String> examples = new LinkedHashSet<>();
    private long count;
    private Instant next = Instant.EPOCH;

    /** @param message with one placeholder for the count and one for the examples */
    public ThrottledWarning(Logger log, String message) {
        this.log = log;
        this.message = message;
    }

    public synchronized void add(String example) {
        count++;
        if (examples.size() < MAX_EXAMPLES) {
            examples.add(example);
        }
    }

    /** Logs the accumulated warnings, unless the previous line is recent. One in the future, after the clock was set back, is ignored. */
    public synchronized void flush(Instant now) {
        if (count == 0 || now.isBefore(next) && !now.isBefore(next.minus(INTERVAL))) {
            return;
        }
        log.warn(message, count, String.join(", ", examples));
        examples.clear();
        count = 0;
        next = now.plus(INTERVAL);
    }
}

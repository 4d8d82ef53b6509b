package io.aitbc.coordinator.background;

import org.slf4j.Logger;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * Counts consecutive failures of an operation that is retried while Kafka or Redis is unavailable. Logs the first failure, then
 * exponentially fewer: the second, the fourth, the eighth. Owned by one thread.
 */
public final class ConsecutiveFailures {
    private final Logger log;
    private int count;

    public ConsecutiveFailures(Logger log) {
        this.log = log;
    }

    /** Counts a failure. Its log event is a warning if the count is a power of two, else at DEBUG. */
    public LoggingEventBuilder onFailure() {
        count++;
        return (Integer.bitCount(count) == 1 ? log.atWarn() : log.atDebug()).addKeyValue("failures", count);
    }

    /** Resets the count after a success. */
    public void reset() {
        if (count > 0) {
            log.atInfo().addKeyValue("failures", count).log("Recovered");
            count = 0;
        }
    }
}

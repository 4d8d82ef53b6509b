package io.aitbc.coordinator.background;

import org.slf4j.Logger;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * Something that is tried again and again while Kafka or Redis is away. The first failure is worth a line in the log, and then ever
 * fewer are: the second, the fourth, the eighth. Owned by one thread.
 */
public final class FailuresInARow {
    private final Logger log;
    private int count;

    public FailuresInARow(Logger log) {
        this.log = log;
    }

    /** One more; what is said of it goes into the log as a warning, or only where details are wanted. */
    public LoggingEventBuilder next() {
        count++;
        return (Integer.bitCount(count) == 1 ? log.atWarn() : log.atDebug()).addKeyValue("failures", count);
    }

    /** It worked. */
    public void end() {
        if (count > 0) {
            log.info("Works again");
            count = 0;
        }
    }
}

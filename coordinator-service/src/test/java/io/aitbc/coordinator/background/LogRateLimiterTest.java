package io.aitbc.coordinator.background;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LogRateLimiterTest {
    private final AtomicLong nanoTime = new AtomicLong();
    private final LogRateLimiter limit = new LogRateLimiter(nanoTime::get);
    private final ListAppender<ILoggingEvent> written = new ListAppender<>();
    private final LoggerContext context = new LoggerContext();
    private final Logger logger = context.getLogger("of.a.library");

    @BeforeEach
    void limitTheLog() {
        written.setContext(context);
        written.addFilter(limit.filter());
        written.start();
        logger.setLevel(Level.DEBUG);
        logger.addAppender(written);
    }

    @Test
    void aRepeatedMessageIsWrittenAFewTimesPerMinute() {
        IntStream.range(0, 1_000).forEach(i -> logger.warn("partition {} is not there", i));
        logger.atError().addKeyValue("topic", "t").log("another");
        assertThat(written.list).hasSize(LogRateLimiter.MAX_PER_MESSAGE + 1);
        assertThat(limit.drainSuppressed()).containsExactly("995 × of.a.library: partition {} is not there");

        logger.warn("partition {} is not there", 1_000);

        assertThat(written.list).hasSize(LogRateLimiter.MAX_PER_MESSAGE + 2);
    }

    /** Occasional messages are never suppressed. */
    @Test
    void theLimitIsResetEveryMinute() {
        for (int minute = 0; minute < 3; minute++) {
            IntStream.range(0, LogRateLimiter.MAX_PER_MESSAGE).forEach(i -> logger.info("now and then"));
            nanoTime.addAndGet(TimeUnit.MINUTES.toNanos(1));
        }

        assertThat(written.list).hasSize(3 * LogRateLimiter.MAX_PER_MESSAGE);
        assertThat(limit.drainSuppressed()).isEmpty();
    }

    @Test
    void messagesThatAllDifferAreLimitedPerLogger() {
        IntStream.range(0, 10_000).forEach(i -> logger.atWarn().log("offset " + i + " is not there"));

        assertThat(written.list).hasSize(LogRateLimiter.MAX_PER_LOGGER);
        assertThat(limit.drainSuppressed()).containsExactly("9940 × of.a.library");
    }

    @Test
    void debugMessagesAreNotLimited() {
        IntStream.range(0, 100).forEach(i -> logger.debug("detail"));

        assertThat(written.list).hasSize(100);
    }
}

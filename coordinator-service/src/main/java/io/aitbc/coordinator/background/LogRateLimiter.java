package io.aitbc.coordinator.background;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.filter.Filter;
import ch.qos.logback.core.spi.FilterReply;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;

/**
 * Rate-limits log lines, so that one cause cannot fill the log. Kafka's client, for example, logs a thousand lines a second about a missing
 * partition. Each message and each logger may log a limited number of lines per minute; the number suppressed is logged once a minute.
 * Lines below INFO are not limited. Filters events at the root logger's appenders.
 */
@Component
public final class LogRateLimiter implements SmartLifecycle {
    static final int MAX_PER_MESSAGE = 5;
    /** Limit per logger, for messages that are formatted before they are logged and so never repeat. */
    static final int MAX_PER_LOGGER = 60;

    private static final org.slf4j.Logger log = LoggerFactory.getLogger(LogRateLimiter.class);
    private static final Duration WINDOW = Duration.ofMinutes(1);
    private static final int MAX_KEYS = 1_000;
    private static final int MAX_REPORTED = 10;
    private static final int MAX_REPORTED_LENGTH = 200;

    private final LongSupplier nanoTime;
    private final Map<Key, Count> counts = new HashMap<>();
    private final PeriodicJob reporter = new PeriodicJob("log-limit", WINDOW, this::reportSuppressed);
    private volatile @Nullable Filter<ILoggingEvent> installed;

    /** @param message empty for all of the logger's messages */
    private record Key(String logger, String message) {}

    private static final class Count {
        final long since;
        int written;
        long suppressed;

        Count(long since) {
            this.since = since;
        }
    }

    @Autowired
    LogRateLimiter() {
        this(System::nanoTime);
    }

    LogRateLimiter(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    @Override
    public void start() {
        Filter<ILoggingEvent> filter = filter();
        installed = filter;
        Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
        root.iteratorForAppenders().forEachRemaining(appender -> appender.addFilter(filter));
        reporter.start();
    }

    /** Disables the filter: it cannot be removed from an appender. */
    @Override
    public void stop() {
        Filter<ILoggingEvent> filter = installed;
        if (filter != null) {
            filter.stop();
            installed = null;
        }
        reporter.close();
    }

    @Override
    public boolean isRunning() {
        return installed != null;
    }

    /** First to start, last to stop. */
    @Override
    public int getPhase() {
        return Integer.MIN_VALUE;
    }

    Filter<ILoggingEvent> filter() {
        Filter<ILoggingEvent> filter = new Filter<>() {
            @Override
            public FilterReply decide(ILoggingEvent event) {
                return !isStarted() || !event.getLevel().isGreaterOrEqual(Level.INFO) || isWithinLimit(event)
                        ? FilterReply.NEUTRAL
                        : FilterReply.DENY;
            }
        };
        filter.start();
        return filter;
    }

    private synchronized boolean isWithinLimit(ILoggingEvent event) {
        Count ofMessage = count(new Key(event.getLoggerName(), String.valueOf(event.getMessage())));
        Count ofLogger = count(new Key(event.getLoggerName(), ""));
        if (ofMessage.written >= MAX_PER_MESSAGE) {
            ofMessage.suppressed++;
            return false;
        }
        if (ofLogger.written >= MAX_PER_LOGGER) {
            ofLogger.suppressed++;
            return false;
        }
        ofMessage.written++;
        ofLogger.written++;
        return true;
    }

    private Count count(Key key) {
        long now = nanoTime.getAsLong();
        Count count = counts.get(key);
        if (count == null || now - count.since >= WINDOW.toNanos() && count.suppressed == 0) {
            if (counts.size() >= MAX_KEYS) {
                counts.values().removeIf(one -> one.suppressed == 0);
            }
            count = new Count(now);
            counts.put(key, count);
        }
        return count;
    }

    private void reportSuppressed() {
        List<String> suppressed = drainSuppressed();
        if (!suppressed.isEmpty()) {
            log.warn("Suppressed log lines in the last minute: {}", String.join("; ", suppressed));
        }
    }

    /** The lines suppressed since the last call, most frequent first. Resets all limits. */
    synchronized List<String> drainSuppressed() {
        List<String> suppressed = counts.entrySet().stream()
                .filter(one -> one.getValue().suppressed > 0)
                .sorted((one, other) -> Long.compare(other.getValue().suppressed, one.getValue().suppressed))
                .limit(MAX_REPORTED)
                .map(one -> one.getValue().suppressed + " × " + abbreviated(one.getKey()))
                .collect(Collectors.toList());
        counts.clear();
        return suppressed;
    }

    private static String abbreviated(Key key) {
        String text = key.logger() + (key.message().isEmpty() ? "" : ": " + key.message());
        return text.length() <= MAX_REPORTED_LENGTH ? text : text.substring(0, MAX_REPORTED_LENGTH) + "…";
    }
}

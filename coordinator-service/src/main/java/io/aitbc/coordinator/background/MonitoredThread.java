package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that is meant to run as long as the coordinator, and reports its health. Its body reports each failure that it survives. If an
 * exception escapes the body, the thread ends, and that is reported permanently.
 */
public final class MonitoredThread {
    private static final Logger log = LoggerFactory.getLogger(MonitoredThread.class);
    private static final long TERMINATION_TIMEOUT_SECONDS = 5;
    /** Longer than any single call to Kafka or Redis may take. */
    private static final Duration STUCK_AFTER = Duration.ofSeconds(90);

    private final Thread thread;
    private final ActivityMonitor monitor;
    private volatile boolean started;
    private volatile boolean ending;
    private volatile @Nullable Throwable terminationCause;

    public MonitoredThread(String name, Runnable body) {
        this(name, STUCK_AFTER, body);
    }

    /** @param stuckAfter the longest time between two reports */
    MonitoredThread(String name, Duration stuckAfter, Runnable body) {
        this.monitor = new ActivityMonitor("thread " + name, stuckAfter);
        this.thread = new Thread(
                () -> {
                    try {
                        body.run();
                    } catch (Throwable e) {
                        terminationCause = e;
                        if (!ending) {
                            log.atError()
                                    .addKeyValue("thread", name)
                                    .setCause(e)
                                    .log("Thread ended unexpectedly");
                        }
                    }
                },
                name);
    }

    public void start() {
        thread.start();
        started = true;
    }

    public String name() {
        return thread.getName();
    }

    public boolean isAlive() {
        return thread.isAlive();
    }

    /** The activity whose attempts the body reports. */
    public ActivityMonitor monitor() {
        return monitor;
    }

    /** Waits a few seconds for the thread to end, after it has been asked to. */
    public void awaitTermination() {
        ending = true;
        try {
            thread.join(TimeUnit.SECONDS.toMillis(TERMINATION_TIMEOUT_SECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Interrupts a thread that may be blocked, then waits as {@link #awaitTermination} does. */
    public void interrupt() {
        ending = true;
        thread.interrupt();
        awaitTermination();
    }

    /** Problems, one sentence each: it ended without being asked to, has been failing for a while, or is stuck. */
    public List<String> problems() {
        if (!started || ending) {
            return List.of();
        }
        return thread.isAlive()
                ? monitor.problem().stream().toList()
                : List.of(
                        "thread " + name() + " has ended" + (terminationCause == null ? "" : ": " + terminationCause));
    }
}

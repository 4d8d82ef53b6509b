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
public final class WatchedThread {
    private static final Logger log = LoggerFactory.getLogger(WatchedThread.class);
    private static final long END_WITHIN_SECONDS = 5;
    /** Longer than any single call to Kafka or Redis may take. */
    private static final Duration STUCK_AFTER = Duration.ofSeconds(90);

    private final Thread thread;
    private final Duty duty;
    private volatile boolean started;
    private volatile boolean ending;
    private volatile @Nullable Throwable endedBy;

    public WatchedThread(String name, Runnable body) {
        this(name, STUCK_AFTER, body);
    }

    /** @param stuckAfter the longest time between two reports */
    WatchedThread(String name, Duration stuckAfter, Runnable body) {
        this.duty = new Duty("thread " + name, stuckAfter);
        this.thread = new Thread(
                () -> {
                    try {
                        body.run();
                    } catch (Throwable e) {
                        endedBy = e;
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
    public Duty duty() {
        return duty;
    }

    /** Waits a few seconds for the thread to end, after it has been asked to. */
    public void awaitEnd() {
        ending = true;
        try {
            thread.join(TimeUnit.SECONDS.toMillis(END_WITHIN_SECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Interrupts a thread that may be blocked, then waits as {@link #awaitEnd} does. */
    public void interrupt() {
        ending = true;
        thread.interrupt();
        awaitEnd();
    }

    /** Problems, one sentence each: it ended without being asked to, has been failing for a while, or is stuck. */
    public List<String> troubles() {
        if (!started || ending) {
            return List.of();
        }
        return thread.isAlive()
                ? duty.trouble().stream().toList()
                : List.of("thread " + name() + " has ended" + (endedBy == null ? "" : ": " + endedBy));
    }
}

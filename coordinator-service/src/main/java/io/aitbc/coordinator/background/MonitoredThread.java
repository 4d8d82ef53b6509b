package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that is meant to run until it is closed, and reports its health. Its body reports each failure that it survives. If an
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
    private final CountDownLatch closing = new CountDownLatch(1);
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
                        if (!isClosing()) {
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

    /** The monitor to which the body reports its attempts. */
    public ActivityMonitor monitor() {
        return monitor;
    }

    /** Whether the thread was asked to end. Its body polls this. */
    public boolean isClosing() {
        return closing.getCount() == 0;
    }

    /**
     * Pauses the body, for at most this long.
     *
     * @return true if the body should continue; false, immediately, once the thread is asked to end
     */
    public boolean pause(Duration duration) throws InterruptedException {
        return !closing.await(duration.toNanos(), TimeUnit.NANOSECONDS);
    }

    /** Asks the thread to end, and waits a few seconds for that. */
    public void close() {
        close(() -> {});
    }

    /**
     * Like {@link #close()}, for a body that blocks elsewhere than in {@link #pause}.
     *
     * @param wakeUp ends the call that it may be blocked in
     */
    public void close(Runnable wakeUp) {
        closing.countDown();
        wakeUp.run();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(TERMINATION_TIMEOUT_SECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Interrupts whatever call the body is blocked in. */
    public void interrupt() {
        thread.interrupt();
    }

    /** Problems: it ended without being asked to, has been failing for a while, or is stuck. */
    public List<Problem> problems() {
        if (!started || isClosing()) {
            return List.of();
        }
        return thread.isAlive()
                ? monitor.problem().stream().toList()
                : List.of(new Problem(
                        "thread " + name() + " has ended" + (terminationCause == null ? "" : ": " + terminationCause),
                        true));
    }
}

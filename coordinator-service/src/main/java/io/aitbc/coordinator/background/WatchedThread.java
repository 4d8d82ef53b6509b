package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that is meant to run for as long as the coordinator does, and says what is wrong with it. Its body reports each failure
 * that it goes on after; should one get past the body, the thread ends, and that is reported for good.
 */
public final class WatchedThread {
    private static final Logger log = LoggerFactory.getLogger(WatchedThread.class);
    private static final long END_WITHIN_SECONDS = 5;
    /** Longer than any call to Kafka or Redis may take. */
    private static final Duration STUCK_AFTER = Duration.ofSeconds(90);

    private final Thread thread;
    private final Duty duty;
    private volatile boolean started;
    private volatile boolean ending;
    private volatile @Nullable Throwable endedBy;

    public WatchedThread(String name, Runnable body) {
        this(name, STUCK_AFTER, body);
    }

    /** @param stuckAfter how long it may take between two words of it */
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
                                    .log("A thread has ended");
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

    /** What it does, which its body reports on. */
    public Duty duty() {
        return duty;
    }

    /** Waits some seconds for its end, which somebody has asked it for. */
    public void awaitEnd() {
        ending = true;
        try {
            thread.join(TimeUnit.SECONDS.toMillis(END_WITHIN_SECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** As {@link #awaitEnd}, for a thread that may be waiting for something. */
    public void interrupt() {
        ending = true;
        thread.interrupt();
        awaitEnd();
    }

    /** That it has ended, though nobody asked it to, has failed for a while, or is stuck; a sentence each. */
    public List<String> troubles() {
        if (!started || ending) {
            return List.of();
        }
        return thread.isAlive()
                ? duty.trouble().stream().toList()
                : List.of("thread " + name() + " has ended" + (endedBy == null ? "" : ": " + endedBy));
    }
}

package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.ArrayList;
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
    /** A failure that is over sooner is not worth an alarm: a rebalance, a broker that restarts. */
    static final Duration FAILING_AFTER = Duration.ofSeconds(10);

    private final Thread thread;
    private volatile boolean started;
    private volatile boolean ending;
    private volatile @Nullable Failing failing;
    private volatile @Nullable Throwable endedBy;

    private record Failing(long sinceNanos, String why) {}

    public WatchedThread(String name, Runnable body) {
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

    /** What it does failed, and will be tried again. */
    public void failed(Throwable failure) {
        Failing before = failing;
        failing = new Failing(before == null ? System.nanoTime() : before.sinceNanos, failure.toString());
    }

    /** What it does works. */
    public void works() {
        if (failing != null) {
            failing = null;
        }
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

    /** That it has ended, though nobody asked it to, or has failed for a while; a sentence each. */
    public List<String> troubles() {
        List<String> troubles = new ArrayList<>();
        Failing now = failing;
        if (started && !ending && !thread.isAlive()) {
            troubles.add("thread " + name() + " has ended" + (endedBy == null ? "" : ": " + endedBy));
        } else if (now != null && System.nanoTime() - now.sinceNanos >= FAILING_AFTER.toNanos()) {
            long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - now.sinceNanos);
            troubles.add("thread " + name() + " has failed for " + seconds + " s: " + now.why);
        }
        return troubles;
    }
}

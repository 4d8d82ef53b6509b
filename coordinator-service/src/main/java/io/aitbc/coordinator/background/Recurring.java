package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that does something again and again until it is closed. When it fails, because Kafka or Redis is away, it is done again the
 * next time; the first failure of a row is worth a line in the log.
 */
public final class Recurring implements AutoCloseable {
    /** What is done. */
    public interface Action {
        void run() throws Exception;
    }

    private static final Logger log = LoggerFactory.getLogger(Recurring.class);
    private static final long END_WITHIN_SECONDS = 5;

    private final Duration pause;
    private final Action action;
    private final Runnable last;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final Thread thread;
    private final FailuresInARow failures = new FailuresInARow(log);

    /**
     * @param name of the thread
     * @param pause between two times
     * @param last done by the same thread when it ends
     */
    public Recurring(String name, Duration pause, Action action, Runnable last) {
        this.pause = pause;
        this.action = action;
        this.last = last;
        this.thread = new Thread(this::run, name);
    }

    public void start() {
        thread.start();
    }

    /** Returns once the thread has ended, or after some seconds. */
    @Override
    public void close() {
        closing.countDown();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(END_WITHIN_SECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void run() {
        try {
            do {
                runOnce();
            } while (!closing.await(pause.toMillis(), TimeUnit.MILLISECONDS));
            last.run();
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        } catch (RuntimeException e) {
            log.atDebug().log("{} did not end cleanly: {}", thread.getName(), e.toString());
        }
    }

    private void runOnce() throws InterruptedException {
        try {
            action.run();
            failures.end();
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            failures.next().log("{} will try again: {}", thread.getName(), e.toString());
        }
    }
}

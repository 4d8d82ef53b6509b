package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that runs a task periodically until closed. A failed run, usually because Kafka or Redis is unavailable, is retried in the next
 * period. Only the first of consecutive failures is logged as a warning.
 */
public final class Recurring implements AutoCloseable {
    /** The periodic task. */
    public interface Action {
        void run() throws Exception;
    }

    private static final Logger log = LoggerFactory.getLogger(Recurring.class);

    /** Some tasks scan everything. */
    private static final Duration STUCK_AFTER = Duration.ofMinutes(10);

    private final Duration pause;
    private final Action action;
    private final Runnable last;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final WatchedThread thread;
    private final FailuresInARow failures = new FailuresInARow(log);

    /**
     * @param name of the thread
     * @param pause between two runs
     * @param last run once by the same thread when it ends
     */
    public Recurring(String name, Duration pause, Action action, Runnable last) {
        this.pause = pause;
        this.action = action;
        this.last = last;
        this.thread = new WatchedThread(name, STUCK_AFTER, this::run);
    }

    public void start() {
        thread.start();
    }

    /** Returns once the thread has ended, or after a few seconds. */
    @Override
    public void close() {
        closing.countDown();
        thread.awaitEnd();
    }

    /** See {@link Part#troubles}. Failures of tasks that run minutes apart are not reported: whether one persists is unknown. */
    public List<String> troubles() {
        return pause.compareTo(Duty.FAILING_AFTER) < 0 || !thread.isAlive() ? thread.troubles() : List.of();
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
            log.atDebug().log("{} did not stop cleanly: {}", thread.name(), e.toString());
        }
    }

    private void runOnce() throws InterruptedException {
        thread.duty().moves();
        try {
            action.run();
            failures.end();
            thread.duty().works();
        } catch (InterruptedException e) {
            throw e;
        } catch (Throwable e) {
            thread.duty().failed(e);
            failures.next().log("{} will retry: {}", thread.name(), e.toString());
        } finally {
            thread.duty().rests();
        }
    }
}

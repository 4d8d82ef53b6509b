package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that runs a task periodically until closed. A failed run, usually because Kafka or Redis is unavailable, is retried in the next
 * period. Consecutive failures are logged with decreasing frequency.
 */
public final class PeriodicJob implements AutoCloseable {
    /** The periodic task. */
    public interface Action {
        void run() throws Exception;
    }

    private static final Logger log = LoggerFactory.getLogger(PeriodicJob.class);

    /** Some tasks scan all keys or all partitions. */
    private static final Duration STUCK_AFTER = Duration.ofMinutes(10);

    private final Duration pause;
    private final Action action;
    private final Runnable last;
    private final MonitoredThread thread;
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);

    /**
     * @param name of the thread
     * @param pause between two runs
     */
    public PeriodicJob(String name, Duration pause, Action action) {
        this(name, pause, action, () -> {});
    }

    /** @param last run once by the same thread when it ends, unless it is interrupted */
    public PeriodicJob(String name, Duration pause, Action action, Runnable last) {
        this.pause = pause;
        this.action = action;
        this.last = last;
        this.thread = new MonitoredThread(name, STUCK_AFTER, this::run);
    }

    public void start() {
        thread.start();
    }

    /** Returns once the thread has ended, or after a few seconds. */
    @Override
    public void close() {
        thread.close();
    }

    /**
     * See {@link BackgroundService#problems}. Failures of jobs that pause for ten seconds or longer are not reported: whether one persists
     * is unknown.
     */
    public List<Problem> problems() {
        return pause.compareTo(ActivityMonitor.FAILING_AFTER) < 0 || !thread.isAlive() ? thread.problems() : List.of();
    }

    private void run() {
        try {
            do {
                runOnce();
            } while (thread.pause(pause));
            last.run();
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        } catch (RuntimeException e) {
            log.atDebug().log("{} did not stop cleanly: {}", thread.name(), e.toString());
        }
    }

    private void runOnce() throws InterruptedException {
        thread.monitor().progressed();
        try {
            action.run();
            failures.reset();
            thread.monitor().succeeded();
        } catch (InterruptedException e) {
            throw e;
        } catch (Throwable e) {
            thread.monitor().failed(e);
            failures.onFailure().log("{} failed, will retry: {}", thread.name(), e.toString());
        } finally {
            thread.monitor().idle();
        }
    }
}

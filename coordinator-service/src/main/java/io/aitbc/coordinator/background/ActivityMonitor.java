package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A recurring activity and its health. It is unhealthy once all attempts of the last ten seconds have failed, or once it has not reported
 * for too long. One thread reports; any thread may query the health.
 */
public final class ActivityMonitor {
    /** Shorter failures, such as during a rebalance or a broker restart, are not worth an alarm. */
    static final Duration FAILING_AFTER = Duration.ofSeconds(10);

    private final String name;
    private final Duration stuckAfter;
    private final LongSupplier nanos;
    private volatile @Nullable Failing failing;
    /** Time of the last report; null while it rests. */
    private volatile @Nullable Long lastProgressAt;

    private record Failing(long sinceNanos, String why) {}

    /**
     * @param name subject of the sentences about it, such as "thread results"
     * @param stuckAfter the longest time that an attempt may take
     */
    public ActivityMonitor(String name, Duration stuckAfter) {
        this(name, stuckAfter, System::nanoTime);
    }

    /** @param nanos a clock such as {@link System#nanoTime} */
    ActivityMonitor(String name, Duration stuckAfter, LongSupplier nanos) {
        this.name = name;
        this.stuckAfter = stuckAfter;
        this.nanos = nanos;
    }

    /** Reports that an attempt has started or is in progress. */
    public void progressed() {
        lastProgressAt = nanos.getAsLong();
    }

    /** Reports that it is idle until the next report. */
    public void idle() {
        lastProgressAt = null;
    }

    /** Reports a failed attempt that will be retried. */
    public void failed(Throwable failure) {
        progressed();
        Failing before = failing;
        failing = new Failing(before == null ? nanos.getAsLong() : before.sinceNanos, failure.toString());
    }

    /** Reports a successful attempt. */
    public void succeeded() {
        progressed();
        if (failing != null) {
            failing = null;
        }
    }

    /** The current problem; empty if there is none. */
    public Optional<Problem> problem() {
        long now = nanos.getAsLong();
        Failing failed = failing;
        Long moved = lastProgressAt;
        if (moved != null && now - moved >= stuckAfter.toNanos()) {
            return Optional.of(new Problem(name + " has been stuck for " + seconds(now - moved) + " s", true));
        }
        if (failed != null && now - failed.sinceNanos >= FAILING_AFTER.toNanos()) {
            return Optional.of(new Problem(
                    name + " has been failing for " + seconds(now - failed.sinceNanos) + " s: " + failed.why, false));
        }
        return Optional.empty();
    }

    private static long seconds(long nanos) {
        return TimeUnit.NANOSECONDS.toSeconds(nanos);
    }
}

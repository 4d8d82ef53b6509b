package io.aitbc.coordinator.background;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Something that is done again and again, and is in trouble once every attempt of the last seconds has failed, or once nothing has been
 * heard of it for long. One thread reports, any may ask.
 */
public final class Duty {
    /** A failure that is over sooner is not worth an alarm: a rebalance, a broker that restarts. */
    static final Duration FAILING_AFTER = Duration.ofSeconds(10);

    private final String name;
    private final Duration stuckAfter;
    private final LongSupplier nanos;
    private volatile @Nullable Failing failing;
    /** When it was heard of last; null while it rests. */
    private volatile @Nullable Long movedAt;

    private record Failing(long sinceNanos, String why) {}

    /**
     * @param name what a sentence about it begins with, such as "thread results"
     * @param stuckAfter how long an attempt may take
     */
    public Duty(String name, Duration stuckAfter) {
        this(name, stuckAfter, System::nanoTime);
    }

    /** @param nanos a clock as {@link System#nanoTime} */
    Duty(String name, Duration stuckAfter, LongSupplier nanos) {
        this.name = name;
        this.stuckAfter = stuckAfter;
        this.nanos = nanos;
    }

    /** An attempt begins, or is still under way. */
    public void moves() {
        movedAt = nanos.getAsLong();
    }

    /** Nothing is attempted until it moves again. */
    public void rests() {
        movedAt = null;
    }

    /** An attempt failed, and there will be another. */
    public void failed(Throwable failure) {
        moves();
        Failing before = failing;
        failing = new Failing(before == null ? nanos.getAsLong() : before.sinceNanos, failure.toString());
    }

    /** An attempt succeeded. */
    public void works() {
        moves();
        if (failing != null) {
            failing = null;
        }
    }

    /** A sentence, if it is in trouble. */
    public Optional<String> trouble() {
        long now = nanos.getAsLong();
        Failing failed = failing;
        Long moved = movedAt;
        if (failed != null && now - failed.sinceNanos >= FAILING_AFTER.toNanos()) {
            return Optional.of(name + " has failed for " + seconds(now - failed.sinceNanos) + " s: " + failed.why);
        }
        if (moved != null && now - moved >= stuckAfter.toNanos()) {
            return Optional.of(name + " has been stuck for " + seconds(now - moved) + " s");
        }
        return Optional.empty();
    }

    private static long seconds(long nanos) {
        return TimeUnit.NANOSECONDS.toSeconds(nanos);
    }
}

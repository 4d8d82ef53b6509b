package io.aitbc.coordinator.background;

import java.time.Duration;

/** Tells when what is done every so often is due again, by a clock that nobody sets. Owned by one thread. */
public final class Pace {
    private final long nanos;
    private long due = System.nanoTime();

    /** @param every the least time from one to the next; the first is due at once */
    public Pace(Duration every) {
        this.nanos = every.toNanos();
    }

    /** Whether it is due; if so, the next is due a while from now. */
    public boolean isDue() {
        long now = System.nanoTime();
        if (now - due < 0) {
            return false;
        }
        due = now + nanos;
        return true;
    }
}

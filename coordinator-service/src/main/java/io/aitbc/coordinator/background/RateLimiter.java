package io.aitbc.coordinator.background;

import java.time.Duration;

/** Limits how often something is done, by a monotonic clock. Owned by one thread. */
public final class RateLimiter {
    private final long nanos;
    private long due = System.nanoTime();

    /** @param every the minimum interval; the first run is due at once */
    public RateLimiter(Duration every) {
        this.nanos = every.toNanos();
    }

    /** Whether a run is due. If so, schedules the next. */
    public boolean tryAcquire() {
        long now = System.nanoTime();
        if (now - due < 0) {
            return false;
        }
        due = now + nanos;
        return true;
    }
}

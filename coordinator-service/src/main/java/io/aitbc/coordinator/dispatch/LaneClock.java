package io.aitbc.coordinator.dispatch;

import java.time.Instant;

/** The time of a lane: that of its latest round or record. */
final class LaneClock {
    private Instant now = Instant.EPOCH;

    Instant now() {
        return now;
    }

    /** Returns whether the clock was set back: delays up to the old time must then be reset. */
    boolean advance(Instant time) {
        boolean setBack = time.isBefore(now);
        now = time;
        return setBack;
    }
}

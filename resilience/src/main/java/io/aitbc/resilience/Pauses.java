package io.aitbc.resilience;

import java.util.Random;
import java.util.concurrent.TimeUnit;

/** Sleeps while the other processes run. */
final class Pauses {
    private Pauses() {}

    static void pause(Random random, int leastSeconds, int mostSeconds) {
        pause(TimeUnit.SECONDS.toMillis(leastSeconds)
                + random.nextLong(TimeUnit.SECONDS.toMillis(mostSeconds - leastSeconds) + 1));
    }

    static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}

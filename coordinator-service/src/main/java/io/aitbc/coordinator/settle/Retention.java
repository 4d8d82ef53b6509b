package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.Recurring;
import java.time.Duration;
import java.util.List;

/**
 * Every second, deletes completed tasks whose retention has expired. A TTL on each of them would be an eighth of Redis's work per task;
 * tasks that end otherwise are few, and have a TTL.
 */
final class Retention implements AutoCloseable {
    private static final Duration EVERY = Duration.ofSeconds(1);

    /** Limit per second, at a thousand tasks and a few more per call: leaves the rest of Redis's time to others. */
    private static final int MOST_CALLS = 50;

    private final Attempts attempts;
    private final Recurring forgetting = new Recurring("retention", EVERY, this::forget, () -> {});

    Retention(Attempts attempts) {
        this.attempts = attempts;
    }

    void start() {
        forgetting.start();
    }

    @Override
    public void close() {
        forgetting.close();
    }

    List<String> troubles() {
        return forgetting.troubles();
    }

    private void forget() {
        for (int calls = 0; calls < MOST_CALLS; calls++) {
            if (!attempts.forget()) {
                return;
            }
        }
    }
}

package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.Recurring;
import java.time.Clock;
import java.time.Duration;

/**
 * Every second, forgets tasks that were completed long enough ago. To let each of them expire is a tenth of what Redis has to do for it;
 * tasks that end otherwise are few, and expire.
 */
final class Retention implements AutoCloseable {
    private static final Duration EVERY = Duration.ofSeconds(1);

    /** In a row, so that it can be closed. */
    private static final int MOST_CALLS = 200;

    private final Attempts attempts;
    private final Clock clock;
    private final Recurring forgetting = new Recurring("retention", EVERY, this::forget, () -> {});

    Retention(Attempts attempts, Clock clock) {
        this.attempts = attempts;
        this.clock = clock;
    }

    void start() {
        forgetting.start();
    }

    @Override
    public void close() {
        forgetting.close();
    }

    private void forget() {
        for (int calls = 0; calls < MOST_CALLS; calls++) {
            if (!attempts.forget(clock.instant())) {
                return;
            }
        }
    }
}

package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.Recurring;
import java.time.Duration;
import java.util.List;

/**
 * Every second, forgets tasks that were completed long enough ago. To let each of them expire is an eighth of what Redis has to do for it;
 * tasks that end otherwise are few, and expire.
 */
final class Retention implements AutoCloseable {
    private static final Duration EVERY = Duration.ofSeconds(1);

    /** In a second, a thousand tasks each and a few more: the rest of Redis' time is for others. */
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

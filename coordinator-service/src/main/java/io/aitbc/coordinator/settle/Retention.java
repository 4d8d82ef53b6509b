package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import java.time.Duration;
import java.util.List;

/**
 * Every second, deletes tasks whose retention has expired since they ended. Setting a TTL on each would be an eighth of Redis's work per task.
 */
final class Retention implements AutoCloseable {
    private static final Duration INTERVAL = Duration.ofSeconds(1);

    /** Limit per second, so that Redis has time for other clients. Each call deletes about a thousand tasks. */
    private static final int MAX_CALLS = 50;

    private final Attempts attempts;
    private final PeriodicJob job = new PeriodicJob("retention", INTERVAL, this::deleteExpired);

    Retention(Attempts attempts) {
        this.attempts = attempts;
    }

    void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    List<Problem> problems() {
        return job.problems();
    }

    private void deleteExpired() {
        for (int calls = 0; calls < MAX_CALLS; calls++) {
            if (!attempts.deleteExpired()) {
                return;
            }
        }
    }
}

package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.background.ConsecutiveFailures;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;

/** Pauses that double with each consecutive failure, up to two seconds. */
final class Backoff {
    private static final Duration INITIAL = Duration.ofMillis(100);
    private static final Duration MAX = Duration.ofSeconds(2);

    private final ConsecutiveFailures failures;
    private Instant until = Instant.EPOCH;
    private Duration pause = INITIAL;

    Backoff(Logger log) {
        this.failures = new ConsecutiveFailures(log);
    }

    boolean isOver(Instant now) {
        return !now.isBefore(until);
    }

    void clockSetBack() {
        until = Instant.EPOCH;
    }

    void onSuccess() {
        pause = INITIAL;
        failures.reset();
    }

    /** Failures during a pause belong to requests made before it, and do not prolong it. */
    void onFailure(Throwable failure, Instant now) {
        if (isOver(now)) {
            failures.onFailure()
                    .addKeyValue("pause_ms", pause.toMillis())
                    .log(
                            "Dispatch paused, Redis failed: {}",
                            (failure instanceof CompletionException && failure.getCause() != null
                                            ? failure.getCause()
                                            : failure)
                                    .toString());
            until = now.plus(pause);
            Duration doubled = pause.multipliedBy(2);
            pause = doubled.compareTo(MAX) > 0 ? MAX : doubled;
        }
    }
}

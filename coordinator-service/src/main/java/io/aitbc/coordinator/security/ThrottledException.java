package io.aitbc.coordinator.security;

import java.time.Duration;

/** A request over a limit. The message is the reason. */
public final class ThrottledException extends RuntimeException {
    private final Duration retryAfter;

    public ThrottledException(String message, Duration retryAfter) {
        super(message);
        this.retryAfter = retryAfter;
    }

    /** When the request may be repeated; whole seconds, at least 1. */
    public long retryAfterSeconds() {
        return Math.max(1, retryAfter.plusMillis(999).toSeconds());
    }
}

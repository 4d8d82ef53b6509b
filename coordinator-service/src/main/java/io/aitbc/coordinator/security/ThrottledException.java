package io.aitbc.coordinator.security;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** A request over a limit. The message is the reason. */
public final class ThrottledException extends RuntimeException {
    private final Duration retryAfter;
    private final RateLimits.@Nullable Allowance allowance;

    public ThrottledException(String message, Duration retryAfter) {
        this(message, retryAfter, null);
    }

    /** @param allowance of a limit that the response describes; null for any other */
    ThrottledException(String message, Duration retryAfter, RateLimits.@Nullable Allowance allowance) {
        super(message);
        this.retryAfter = retryAfter;
        this.allowance = allowance;
    }

    RateLimits.@Nullable Allowance allowance() {
        return allowance;
    }

    /** When the request may be repeated; whole seconds, at least 1. */
    public long retryAfterSeconds() {
        return Math.max(1, retryAfter.plusMillis(999).toSeconds());
    }
}

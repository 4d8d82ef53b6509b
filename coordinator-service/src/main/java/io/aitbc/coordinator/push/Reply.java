package io.aitbc.coordinator.push;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** What became of a request to an agent. */
sealed interface Reply {
    /** The request was not sent; {@code why} continues a sentence about the agent. */
    record NotSent(String why) implements Reply {}

    /** The request was not sent, because this coordinator has too many others in progress to the same host. */
    record NoConnection() implements Reply {}

    /** The request was sent, at least in part, and no complete response arrived. */
    record NoResponse(String why) implements Reply {}

    /**
     * A response.
     *
     * @param retryAfter from the header {@code Retry-After}; null if it has none
     * @param body empty if the response is larger than the limit
     */
    record Response(int status, @Nullable Duration retryAfter, byte[] body, boolean tooLarge) implements Reply {
        boolean isSuccess() {
            return status / 100 == 2;
        }
    }
}

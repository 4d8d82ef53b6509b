package io.aitbc.worker;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** What a {@link Handler} knows about the attempt that it runs, and can tell the coordinator. Thread-safe. */
public interface AssignmentContext {
    /** Whether the attempt's result is no longer wanted: it was cancelled, or the agent is stopping. The handler's thread is interrupted, too. */
    boolean isCancelled();

    /** When the coordinator gives the task to another agent; each acknowledged progress report moves it. By the clock of {@link #now}. */
    Instant deadline();

    /** The time by Kafka's clock. This machine's may be wrong. */
    Instant now();

    /** The time left until the deadline; zero after it. */
    default Duration timeLeft() {
        Duration left = Duration.between(now(), deadline());
        return left.isNegative() ? Duration.ZERO : left;
    }

    /**
     * Reports progress, which restarts the timeout of the attempt. Returns at once. A report that cannot be sent is superseded by the next.
     *
     * @param soFar any JSON, shown by {@code GET /tasks/{task_id}}
     */
    void progress(JsonNode soFar);

    /**
     * Reports with the result, whatever that is, how much of a limit the attempt has really used: its budget is corrected by it.
     *
     * @param limit one in the assignment's {@code uses}
     * @param units 0 to 10<sup>12</sup>; the last call counts
     */
    default void used(String limit, long units) {}

    /** What {@link #used} has reported, by limit. */
    default Map<String, Long> usage() {
        return Map.of();
    }

    /** The W3C trace context of the task; null if it has none. */
    @Nullable
    String traceparent();
}

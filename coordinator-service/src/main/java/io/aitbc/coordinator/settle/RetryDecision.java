package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Task;
import java.time.Duration;
import java.time.Instant;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The decision whether to retry after an unsuccessful attempt. Pure.
 *
 * @param retry the task for its next attempt, or null after its last
 */
record RetryDecision(@Nullable Task retry) {
    private static final double JITTER = 0.25;

    /** How an unsuccessful attempt ended. */
    enum FailureReason {
        /** The agent reported a failure. */
        FAILED,
        /** The agent did not try: the task gets one more attempt, up to {@link Task#MAX_ATTEMPTS} in all. */
        REJECTED,
        /** No result arrived before the deadline. */
        OVERDUE,
        /** The agent went silent, or was deregistered. */
        AGENT_LOST
    }

    static RetryDecision after(
            Assignment attempt,
            FailureReason failureReason,
            Instant now,
            SettleSettings settings,
            RandomGenerator random) {
        Task task = attempt.task();
        int next = attempt.attempt() + 1;
        return switch (failureReason) {
            case REJECTED ->
                new RetryDecision(
                        next > Task.MAX_ATTEMPTS
                                ? null
                                : task.rejected(attempt.agentId())
                                        .attempt(next, now.plus(backoff(1, settings, random))));
            // Backs off also after a lost agent: an agent that crashes at each start, or a task that crashes agents,
            // must not use up the attempts within seconds.
            case FAILED, OVERDUE, AGENT_LOST ->
                new RetryDecision(
                        next > attempt.maxAttempts()
                                ? null
                                : task.attempt(next, now.plus(backoff(attempt.attempt(), settings, random))));
        };
    }

    private static Duration backoff(int failures, SettleSettings settings, RandomGenerator random) {
        double ms = settings.retryBackoff().toMillis() * Math.pow(2, Math.min(failures - 1, 30));
        double bounded = Math.min(ms, settings.maxRetryBackoff().toMillis() / (1 + JITTER));
        return Duration.ofMillis((long) (bounded * (1 - JITTER + 2 * JITTER * random.nextDouble())));
    }
}

package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Task;
import java.time.Duration;
import java.time.Instant;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Decides what follows an unsuccessful attempt. Pure.
 *
 * @param again the task for its next attempt, or null after its last
 */
record NextStep(@Nullable Task again) {
    private static final double JITTER = 0.25;
    private static final int MAX_ATTEMPTS_EVER = 100;

    /** How an unsuccessful attempt ended. */
    enum Ending {
        /** The agent reported a failure. */
        FAILED,
        /** The agent did not try: the task gets one more attempt, up to 100 in all. */
        REJECTED,
        /** No result arrived before the deadline. */
        OVERDUE,
        /** The agent went silent, or was deregistered. */
        AGENT_LOST
    }

    static NextStep after(
            Assignment attempt, Ending ending, Instant now, SettleSettings settings, RandomGenerator random) {
        Task task = attempt.task();
        int next = attempt.attempt() + 1;
        return switch (ending) {
            case REJECTED ->
                new NextStep(
                        next > MAX_ATTEMPTS_EVER
                                ? null
                                : task.rejected(attempt.agentId())
                                        .attempt(next, now.plus(backoff(1, settings, random))));
            // Also after a lost agent: an agent that crashes at each start, or a task that crashes agents, must not
            // burn attempts.
            case FAILED, OVERDUE, AGENT_LOST ->
                new NextStep(
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

package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
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

    /**
     * An unsuccessful attempt, as its agent reported it.
     *
     * @param retryable false if the agent reported that a retry cannot help
     * @param retryAfter minimum delay of the next attempt
     */
    record Failure(FailureReason reason, boolean retryable, Duration retryAfter) {
        /** Whether its agent has ended it. */
        boolean isReported() {
            return reason == FailureReason.FAILED || reason == FailureReason.REJECTED;
        }

        static Failure of(FailureReason reason) {
            return new Failure(reason, true, Duration.ZERO);
        }

        static Failure of(TaskResult result) {
            boolean rejected = result.status() == TaskResult.Status.REJECTED;
            Double seconds = result.retryAfterSeconds();
            return new Failure(
                    rejected ? FailureReason.REJECTED : FailureReason.FAILED,
                    // Another agent may accept a rejected task.
                    rejected || !Boolean.FALSE.equals(result.retryable()),
                    seconds == null ? Duration.ZERO : Duration.ofMillis((long) (seconds * 1_000)));
        }
    }

    static RetryDecision after(
            Assignment attempt, Failure failure, Instant now, SettleSettings settings, RandomGenerator random) {
        Task task = attempt.task();
        int next = attempt.attempt() + 1;
        return switch (failure.reason()) {
            case REJECTED ->
                new RetryDecision(
                        next > Task.MAX_ATTEMPTS
                                ? null
                                : task.rejected(attempt.agentId())
                                        .attempt(next, now.plus(delay(failure, 1, settings, random))));
            // Backs off also after a lost agent: an agent that crashes at each start, or a task that crashes agents,
            // must not use up the attempts within seconds.
            case FAILED, OVERDUE, AGENT_LOST ->
                new RetryDecision(
                        next > attempt.maxAttempts() || !failure.retryable()
                                ? null
                                : task.attempt(next, now.plus(delay(failure, attempt.attempt(), settings, random))));
        };
    }

    private static Duration delay(Failure failure, int failures, SettleSettings settings, RandomGenerator random) {
        Duration backoff = backoff(failures, settings, random);
        return backoff.compareTo(failure.retryAfter()) < 0 ? failure.retryAfter() : backoff;
    }

    private static Duration backoff(int failures, SettleSettings settings, RandomGenerator random) {
        double ms = settings.retryBackoff().toMillis() * Math.pow(2, Math.min(failures - 1, 30));
        double bounded = Math.min(ms, settings.maxRetryBackoff().toMillis() / (1 + JITTER));
        return Duration.ofMillis((long) (bounded * (1 - JITTER + 2 * JITTER * random.nextDouble())));
    }
}

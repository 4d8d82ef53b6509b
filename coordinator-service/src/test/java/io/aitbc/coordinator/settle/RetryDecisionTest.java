package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.settle.RetryDecision.Failure;
import io.aitbc.coordinator.settle.RetryDecision.FailureReason;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class RetryDecisionTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");
    private static final Instant SUBMITTED = NOW.minusSeconds(500);
    private static final SettleSettings SETTINGS =
            new SettleSettings(Duration.ofHours(24), Duration.ofSeconds(1), Duration.ofMinutes(5));

    @ParameterizedTest(name = "{0} in attempt {1} of {2}")
    @CsvSource(nullValues = "-", textBlock = """
                    # failureReason,   attempt, of, next attempt, of
                    FAILED,     1,       3,  2,            3
                    FAILED,     2,       3,  3,            3
                    FAILED,     3,       3,  -,            -
                    FAILED,     1,       1,  -,            -
                    FAILED,     4,       3,  -,            -
                    OVERDUE,    2,       3,  3,            3
                    OVERDUE,    3,       3,  -,            -
                    AGENT_LOST, 2,       3,  3,            3
                    AGENT_LOST, 3,       3,  -,            -
                    REJECTED,   1,       3,  2,            4
                    REJECTED,   3,       3,  4,            4
                    REJECTED,   1,       1,  2,            2
                    REJECTED,   99,      99, 100,          100
                    REJECTED,   99,     100, 100,          100
                    REJECTED,   100,    100, -,            -
                    """)
    void aFailedAttemptIsRetriedUntilTheLast(
            FailureReason failureReason, int attempt, int of, @Nullable Integer next, @Nullable Integer nextOf) {
        Optional<Task> again = Optional.ofNullable(
                after(attempt(attempt, of), failureReason, new Random(1)).retry());

        assertThat(again.map(Task::attempt)).isEqualTo(Optional.ofNullable(next));
        assertThat(again.map(Task::maxAttempts)).isEqualTo(Optional.ofNullable(nextOf));
    }

    @ParameterizedTest(name = "{0} in attempt {1}: {2} to {3} ms")
    @CsvSource({
        "FAILED, 1, 750, 1250",
        "FAILED, 2, 1500, 2500",
        "FAILED, 5, 12000, 20000",
        "OVERDUE, 3, 3000, 5000",
        "AGENT_LOST, 1, 750, 1250", // an agent in a crash loop uses up attempts no faster than one that fails
        "AGENT_LOST, 3, 3000, 5000",
        "FAILED, 9, 180000, 300000", // capped at the maximum, including jitter
        "FAILED, 90, 180000, 300000",
        "REJECTED, 1, 750, 1250",
        "REJECTED, 50, 750, 1250" // a rejection is not a failure: the backoff does not grow
    })
    void theWaitDoublesWithinBounds(FailureReason failureReason, int attempt, long leastMs, long mostMs) {
        Assignment ended = attempt(attempt, 100);
        RandomGenerator random = new Random(7);

        long[] waits = Stream.generate(() -> after(ended, failureReason, random).retry())
                .limit(1000)
                .mapToLong(again -> Duration.between(NOW, again.notBefore()).toMillis())
                .sorted()
                .toArray();

        assertThat(waits[0]).isBetween(leastMs, leastMs + (mostMs - leastMs) / 20);
        assertThat(waits[999]).isBetween(mostMs - (mostMs - leastMs) / 20, mostMs);
    }

    @ParameterizedTest
    @CsvSource({"failed, true", "rejected, false"})
    void onlyAFailureThatIsNotRetryableEndsTheTaskAtOnce(String status, boolean ends) {
        Assignment ended = attempt(1, 3);
        TaskResult result = TaskResult.of(ended, TaskResult.Status.parse(status), null, null, null, null)
                .notRetryable();

        assertThat(RetryDecision.after(ended, Failure.of(result), NOW, SETTINGS, new Random(1))
                                .retry()
                        == null)
                .isEqualTo(ends);
    }

    @ParameterizedTest(name = "{0} in attempt {1} after {2} s: {3} to {4} ms")
    @CsvSource({
        "failed, 1, 0, 750, 1250",
        "failed, 1, 0.5, 750, 1250", // the backoff is longer
        "failed, 1, 30, 30000, 30000",
        "failed, 5, 13, 13000, 20000",
        "failed, 1, 3600, 3600000, 3600000", // also above the maximal backoff
        "rejected, 1, 30, 30000, 30000"
    })
    void theNextAttemptIsNotBeforeTheDelayThatTheAgentAskedFor(
            String status, int attempt, double seconds, long leastMs, long mostMs) {
        Assignment ended = attempt(attempt, 100);
        TaskResult result = TaskResult.of(ended, TaskResult.Status.parse(status), null, null, null, null)
                .retryAfter(Duration.ofMillis((long) (seconds * 1_000)));
        RandomGenerator random = new Random(7);

        assertThat(Stream.generate(() -> RetryDecision.after(ended, Failure.of(result), NOW, SETTINGS, random)
                                .retry())
                        .limit(1_000)
                        .map(again -> Duration.between(NOW, again.notBefore()).toMillis()))
                .allMatch(ms -> ms >= leastMs && ms <= mostMs);
    }

    @ParameterizedTest
    @EnumSource(FailureReason.class)
    void theNextAttemptIsTheSameTask(FailureReason failureReason) {
        Assignment ended = attempt(1, 3);

        Task again = after(ended, failureReason, new Random(1)).retry();

        assertThat(again)
                .usingRecursiveComparison()
                .ignoringFields("attempt", "maxAttempts", "notBefore", "rejectedBy")
                .isEqualTo(ended.task());
        assertThat(again.submittedAt()).isEqualTo(SUBMITTED);
        assertThat(again.rejectedBy()).isEqualTo(failureReason == FailureReason.REJECTED ? "agent-1" : null);
    }

    private static RetryDecision after(Assignment attempt, FailureReason failureReason, RandomGenerator random) {
        return RetryDecision.after(attempt, Failure.of(failureReason), NOW, SETTINGS, random);
    }

    private static Assignment attempt(int number, int of) {
        Task task = new Task(
                "t-1",
                Payload.of(Json.object().put("task_type", "echo")),
                null,
                Requirements.capabilities("hash"),
                of,
                30,
                null,
                NOW.plusSeconds(900),
                SUBMITTED,
                number,
                null,
                null,
                null,
                null,
                Map.of(),
                Map.of(),
                Map.of("later_field", Json.tree(1)));
        return Assignment.of(task, Priority.HIGH, "agent-1", NOW.minusSeconds(20));
    }
}

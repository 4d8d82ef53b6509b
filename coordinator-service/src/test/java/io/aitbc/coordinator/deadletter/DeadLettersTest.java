package io.aitbc.coordinator.deadletter;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DeadLettersTest {
    /** A rebuild does not restore an attempt that a letter reports: the task would run again after it has failed. */
    @ParameterizedTest(name = "{0} of attempt {1}: failed {2}, attempt 2 or later {3}")
    @CsvSource({
        "attempts_exhausted, 2, true,  true",
        "attempts_exhausted, 3, true,  true",
        "attempts_exhausted, 1, true,  false",
        "not_retryable,      2, true,  true",
        "not_retryable,      1, true,  false",
        "payload_lost,       1, true,  true",
        "malformed,          2, false, false",
        "oversized,          2, false, false"
    })
    void aLetterReportsAFailedTaskInItsAttemptOrALaterOne(
            String reason, int attempt, boolean isOfFailedTask, boolean isOfSecondAttempt) {
        ConsumerRecord<byte[], byte[]> letter =
                new ConsumerRecord<>("tasks.dead-letter", 0, 0, null, Json.bytes(task(attempt)));
        letter.headers().add(DeadLetterHeaders.REASON, reason.getBytes(StandardCharsets.UTF_8));
        Assignment second = Assignment.of(task(2), Priority.LOW, "a", Instant.EPOCH);

        assertThat(DeadLetters.isOfFailedTask(letter)).isEqualTo(isOfFailedTask);
        assertThat(DeadLetters.isOfAttempt(letter, second)).isEqualTo(isOfSecondAttempt);
    }

    private static Task task(int attempt) {
        return Task.of("t", Json.object(), Requirements.NONE)
                .accepted("t", Instant.EPOCH)
                .attempt(attempt, null);
    }
}

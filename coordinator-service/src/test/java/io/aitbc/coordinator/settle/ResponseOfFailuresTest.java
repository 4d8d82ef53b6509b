package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The response time of a failing agent stays finite, and recovers soon once the agent works well again. */
class ResponseOfFailuresTest {
    private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;
    private Attempts attempts;

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        attempts = new Attempts(redis, Duration.ofHours(1));
        redis.sync().flushall();
        redis.sync().hset(Keys.agent("a"), "agent_id", "a");
        IndexMark.set(redis.sync(), START);
        redis.sync().hset(Keys.inflight("a"), "t", "1 1767225600000 1767225660000 -");
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @Test
    void endlessFailuresCountAsAMinuteAtMost() {
        for (int i = 0; i < 1_000; i++) {
            fail(START.plusSeconds(i));
        }
        assertThat(responseMs()).isBetween(10_000.0, 60_000.0);
    }

    @Test
    void whereTasksTakeLongerAFailureCountsAsOneOfThem() {
        redis.sync().hset(Keys.agent("a"), Map.of("response_ms", "300000.0", "results_at", "" + START.toEpochMilli()));
        fail(START);
        assertThat(responseMs()).isEqualTo(300_000);
    }

    @Test
    void anInfiniteValueOfAnEarlierVersionBecomesFiniteAgain() {
        redis.sync().hset(Keys.agent("a"), Map.of("response_ms", "inf", "results_at", "" + START.toEpochMilli()));
        fail(START);
        assertThat(responseMs()).isEqualTo(Duration.ofDays(3).toMillis());
    }

    private void fail(Instant at) {
        TaskResult failed = new TaskResult(null, "t", 1, "a", TaskResult.Status.FAILED, null, null, null, null);
        assertThat(attempts.settle(List.of(failed), at)).containsExactly(Attempts.SettleOutcome.TO_REQUEUE);
    }

    private double responseMs() {
        return Double.parseDouble(redis.sync().hget(Keys.agent("a"), "response_ms"));
    }
}

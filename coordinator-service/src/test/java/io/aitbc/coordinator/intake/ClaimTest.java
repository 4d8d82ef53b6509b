package io.aitbc.coordinator.intake;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.redis.Claims;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.coordinator.taskstate.TaskState;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClaimTest {
    private static final Duration LONG = Duration.ofMinutes(1);

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private SubmissionClaims claims;

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        overheard.redis().sync().flushall();
        claims = new SubmissionClaims(overheard.redis());
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @Test
    void aClaimBelongsToItsHolderUntilReleased() {
        assertThat(claim("first", LONG).isOurs()).isTrue();
        assertThat(claim("second", LONG).isBusy()).isTrue();

        claims.release("first", List.of("t")).join();

        assertThat(claim("second", LONG).isOurs()).isTrue();
    }

    /** The holder was paused: the task is another caller's to enqueue by now. */
    @Test
    void aHolderWhoseClaimHasExpiredDoesNotReleaseTheNext() {
        claim("first", Duration.ofMillis(1));
        await().until(() -> claim("second", LONG).isOurs());

        claims.release("first", List.of("t")).join();

        assertThat(claim("third", LONG).isBusy()).isTrue();
    }

    /** The key was written externally. */
    @Test
    void aKeyWithoutExpiryIsNotAClaim() {
        overheard.redis().sync().lpush(Keys.submission("t"), "x");
        assertThat(claim("first", LONG).isOurs()).isTrue();
        overheard.redis().sync().set(Keys.redrive("t"), "x");
        Claims claims = new Claims(overheard.redis());
        assertThat(claims.tryAcquire(Keys.redrive("t"), "first", LONG)).isTrue();
        assertThat(claims.tryAcquire(Keys.redrive("t"), "second", LONG)).isFalse();
        claims.release("second", List.of(Keys.redrive("t"))).join();
        assertThat(claims.tryAcquire(Keys.redrive("t"), "second", LONG)).isFalse();
        claims.release("first", List.of(Keys.redrive("t"))).join();
        assertThat(claims.tryAcquire(Keys.redrive("t"), "second", LONG)).isTrue();
    }

    /** The status while the dead letter is being written is internal. */
    @Test
    void aTaskThatIsFailingIsReportedAsAssigned() {
        Map<String, String> assigned = Map.of(
                "status",
                "assigned",
                "attempt",
                "1",
                "agent_id",
                "a",
                "assigned_at",
                "2026-01-01T00:00:00Z",
                "priority",
                "low",
                "submitted_at",
                "2026-01-01T00:00:00Z");
        StoredTask.put(overheard.redis().sync(), "t", assigned);
        overheard.redis().sync().setrange(Keys.task("t"), 1, "g");
        assertThat(claim("first", LONG).existing())
                .extracting(TaskState::status, TaskState::priority)
                .containsExactly(TaskStatus.ASSIGNED, Priority.LOW);
    }

    private SubmissionClaims.Claim claim(String holder, Duration ttl) {
        return claims.claim(holder, List.of("t"), ttl).get("t");
    }
}

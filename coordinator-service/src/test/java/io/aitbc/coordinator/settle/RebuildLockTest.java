package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Data read from Kafka for an index that has been emptied again since is not written: its tasks may have ended. */
class RebuildLockTest {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final Assignment HELD = Json.read("""
            {"assignment_id":"t:1","task_id":"t","attempt":1,"agent_id":"a","priority":"normal","task_data":{},"max_attempts":3,
            "timeout_seconds":60,"submitted_at":"2026-01-01T00:00:00Z","assigned_at":"2026-01-01T00:00:00Z",
            "deadline":"2026-01-01T00:01:00Z"}
            """, Assignment.class);

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
        redis.sync().set(Keys.INDEX_REBUILDING, "mine");
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @Test
    void theLockOwnerRestoresAttempts() {
        assertThat(attempts.restore("mine", List.of(HELD), NOW)).isEqualTo(1);
        attempts.markIndexComplete("mine", NOW);
        assertThat(redis.sync().hkeys(Keys.inflight("a"))).containsExactly("t");
        assertThat(attempts.agentsDue(NOW.plusMillis(59_999))).isEmpty();
        assertThat(attempts.agentsDue(NOW.plusSeconds(60))).containsExactly("a");
        assertThat(redis.sync().get(Keys.INDEX_COMPLETE)).isEqualTo(IndexMark.of(redis.sync(), NOW));
        assertThat(redis.sync().exists(Keys.INDEX_REBUILDING)).isZero();
    }

    @Test
    void anAgentThatIsNotLostGetsTimeForAHeartbeat() {
        attempts.restore("mine", List.of(HELD), NOW);
        assertThat(redis.sync().zscore(Keys.HEARTBEATS, "a")).isEqualTo(NOW.toEpochMilli());
        assertThat(attempts.lostAgents()).isEmpty();
    }

    /** The agent was lost between the reads of heartbeats and of in-flight tasks. */
    @ParameterizedTest
    @ValueSource(strings = {"stale", "inactive", "error"})
    void tasksOfALostAgentAreOverdueAtOnce(String status) {
        redis.sync().hset(Keys.agent("a"), "status", status);
        attempts.restore("mine", List.of(HELD), NOW);
        assertThat(redis.sync().zscore(Keys.HEARTBEATS, "a")).isNull();
        assertThat(attempts.lostAgents()).isEqualTo(Map.of("a", NOW));
        assertThat(attempts.heldBefore("a", NOW, Set.of()))
                .extracting(Attempts.HeldAttempt::taskId)
                .containsExactly("t");
    }

    @Test
    void onceEmptiedAgainNothingIsRestoredAndTheIndexIsNotComplete() {
        redis.sync().flushall();
        assertThatThrownBy(() -> attempts.restore("mine", List.of(HELD), NOW)).hasMessageContaining("SUPERSEDED");
        assertThatThrownBy(() -> attempts.markIndexComplete("mine", NOW)).hasMessageContaining("SUPERSEDED");
        assertThat(redis.sync().keys("*")).isEmpty();
    }

    /** The replica has the lock, and may lack what was restored under it. */
    @Test
    void onceReplacedAgainTheIndexIsNotComplete() {
        String lock = NOW + " " + UUID.randomUUID() + " 0123456789abcdef";
        redis.sync().set(Keys.INDEX_REBUILDING, lock);

        assertThatThrownBy(() -> attempts.restore(lock, List.of(HELD), NOW)).hasMessageContaining("SUPERSEDED");
        assertThatThrownBy(() -> attempts.markIndexComplete(lock, NOW)).hasMessageContaining("SUPERSEDED");

        assertThat(redis.sync().exists(Keys.INDEX_COMPLETE, Keys.INDEX_REBUILDING))
                .isZero();
    }

    /** The owner of the record may have made the task visible again in the meantime. */
    @ParameterizedTest
    @CsvSource({"1, completed", "2, queued"})
    void aCompletedTaskIsRecordedEvenIfItsRecordIsReadAgain(String attempt, String after) {
        StoredTask.put(redis.sync(), "t", Map.of("status", "queued", "attempt", attempt, "position", "normal:0:1"));
        attempts.recordSettled(
                "mine",
                Map.of(HELD, TaskResult.of(HELD, TaskResult.Status.COMPLETED, null, null, null, null)),
                false,
                NOW);
        assertThat(StoredTask.status(redis.sync(), "t")).isEqualTo(after);
    }

    /** Its record may be gone: the task may have been cancelled while it waited for its next attempt. */
    @Test
    void aRequeuedTaskIsForgottenUnlessItsRecordIsRead() {
        recordFailed();
        assertThat(StoredTask.fields(redis.sync(), "t"))
                .containsEntry("status", "queued")
                .containsEntry("attempt", "2")
                .containsEntry("error", "\"out of memory\"");
        assertThat(redis.sync().ttl(Keys.task("t"))).isPositive();
        assertThat(redis.sync().exists("waiting:tenant")).isZero();

        recordQueued(1);
        assertThat(StoredTask.fields(redis.sync(), "t").get("attempt")).isEqualTo("2");
        assertThat(redis.sync().ttl(Keys.task("t"))).isPositive();

        recordQueued(2);
        assertThat(StoredTask.fields(redis.sync(), "t").get("attempt")).isEqualTo("2");
        assertThat(redis.sync().ttl(Keys.task("t"))).isEqualTo(-1);
        assertThat(redis.sync().zrange("waiting:tenant", 0, -1)).containsExactly("t");
    }

    /** The first rebuild failed after that. */
    @Test
    void aRequeuedTaskThatIsRecordedAgainIsForgottenAllTheSame() {
        recordFailed();
        recordFailed();

        assertThat(StoredTask.fields(redis.sync(), "t")).containsEntry("attempt", "2");
        assertThat(redis.sync().ttl(Keys.task("t"))).isPositive();
    }

    /** Its assignment was published late. */
    @Test
    void aRequeuedTaskThatIsLiveIsNotForgotten() {
        recordFailed();
        attempts.restore("mine", List.of(HELD), NOW);
        assertThat(StoredTask.status(redis.sync(), "t")).isEqualTo("queued");

        attempts.restore("mine", List.of(Assignment.of(task(2), Priority.NORMAL, "a", NOW)), NOW);
        assertThat(StoredTask.status(redis.sync(), "t")).isEqualTo("assigned");
        assertThat(redis.sync().ttl(Keys.task("t"))).isEqualTo(-1);
    }

    private void recordFailed() {
        JsonNode error = Json.MAPPER.valueToTree("out of memory");
        attempts.recordSettled(
                "mine",
                Map.of(HELD, TaskResult.of(HELD, TaskResult.Status.FAILED, null, error, null, null)),
                false,
                NOW);
    }

    private void recordQueued(int attempt) {
        new TaskStates(redis).recordAccepted(Map.of(task(attempt), new Position(Priority.NORMAL, 0, attempt)));
    }

    @Test
    void theLockIsRenewedForAsLongAsTheWorkTakes() throws InterruptedException {
        redis.sync().del(Keys.INDEX_REBUILDING);
        try (RebuildLock lock = new RebuildLock(redis, attempts, Clock.systemUTC(), Duration.ofSeconds(20))) {
            lock.start();
            lock.run((held, now) -> {
                assertThat(redis.sync().pttl(Keys.INDEX_REBUILDING)).isBetween(1L, 20_000L);
                redis.sync().pexpire(Keys.INDEX_REBUILDING, 10_000);
                await().atMost(Duration.ofSeconds(30)).until(() -> redis.sync().pttl(Keys.INDEX_REBUILDING) > 10_000);
                attempts.restore(held, List.of(HELD), now);
                lock.run((second, then) -> fail("held twice"));
            });
            assertThat(redis.sync().exists(Keys.INDEX_REBUILDING)).isZero();
        }
    }

    @Test
    void theLockOfACoordinatorThatWasKilledExpires() throws InterruptedException {
        redis.sync().del(Keys.INDEX_REBUILDING);
        try (RebuildLock killed = new RebuildLock(redis, attempts, Clock.systemUTC(), RebuildLock.TTL)) {
            killed.run((held, now) ->
                    assertThat(redis.sync().pttl(Keys.INDEX_REBUILDING)).isBetween(1L, 10_000L));
        }
    }

    private static Task task(int attempt) {
        return Json.read(
                "{\"task_id\":\"t\",\"task_data\":{},\"fairness_key\":\"tenant\",\"attempt\":" + attempt
                        + ",\"submitted_at\":\"2026-01-01T00:00:00Z\"}",
                Task.class);
    }

    @Test
    void aLockOfAnotherCoordinatorIsNotReleased() {
        redis.sync().set(Keys.INDEX_REBUILDING, "another's");
        attempts.releaseLock("mine");
        assertThatThrownBy(() -> attempts.markIndexComplete("mine", NOW)).hasMessageContaining("SUPERSEDED");
        assertThat(redis.sync().get(Keys.INDEX_REBUILDING)).isEqualTo("another's");
        assertThat(redis.sync().exists(Keys.INDEX_COMPLETE)).isZero();
    }
}

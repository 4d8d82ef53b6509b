package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.taskstate.StoredTask;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Retention of ended tasks. */
class RetentionTest {
    private static final Duration HOUR = Duration.ofHours(1);

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        IndexMark.set(redis.sync(), Instant.ofEpochMilli(1));
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @Test
    void completedTasksAreDeletedAfterTheirRetention() {
        complete("one", "two");
        complete("three");
        assertThat(kept(HOUR).deleteExpired()).isFalse();
        assertThat(known("one", "two", "three")).isEqualTo(3);
        assertThat(kept(Duration.ZERO).deleteExpired()).isTrue();
        assertThat(redis.sync().keys("task*")).isEmpty();
        assertThat(kept(Duration.ZERO).deleteExpired()).isFalse();
    }

    @Test
    void eachBatchHasItsOwnRetention() {
        complete("one");
        long aDayAgo = Instant.now().minus(Duration.ofDays(1)).getEpochSecond();
        redis.sync().lpush(Keys.ENDED, aDayAgo + " two:1");
        StoredTask.put(redis.sync(), "two", Map.of("status", "completed"));
        assertThat(kept(HOUR).deleteExpired()).isTrue();
        assertThat(known("two")).isZero();
        assertThat(known("one")).isEqualTo(1);
        assertThat(kept(HOUR).deleteExpired()).isFalse();
    }

    /** Otherwise, one coordinator with a wrong clock would make all others delete everything, or nothing. */
    @Test
    void theClocksOfCoordinatorsDoNotMatter() {
        for (String wrong : List.of("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z")) {
            settle(Instant.parse(wrong), wrong.substring(0, 4));
            assertThat(StoredTask.fields(redis.sync(), wrong.substring(0, 4)))
                    .containsEntry("status", "completed")
                    .containsEntry("finished_at", wrong);
            assertThat(kept(HOUR).deleteExpired()).as(wrong).isFalse();
            assertThat(kept(Duration.ZERO).deleteExpired()).as(wrong).isTrue();
        }
    }

    @Test
    void soAreTasksThatFailed() {
        fail("one", 3);
        assertThat(known("one")).isEqualTo(1);
        assertThat(kept(HOUR).deleteExpired()).isFalse();
        assertThat(kept(Duration.ZERO).deleteExpired()).isTrue();
        assertThat(redis.sync().keys("task*")).isEmpty();
    }

    /** It ended again, later. */
    @Test
    void aTaskThatWasRedrivenIsKeptFromItsLastEnd() {
        fail("one", 3);
        String first = redis.sync().rpop(Keys.ENDED);
        redis.sync().del(Keys.task("one"));
        fail("one", 4);
        long aDayAgo = Instant.now().minus(Duration.ofDays(1)).getEpochSecond();
        redis.sync().lpush(Keys.ENDED, aDayAgo + first.substring(first.indexOf(' ')));
        assertThat(kept(HOUR).deleteExpired()).isTrue();
        assertThat(known("one")).isEqualTo(1);
        assertThat(kept(Duration.ZERO).deleteExpired()).isTrue();
        assertThat(known("one")).isZero();
    }

    private void fail(String taskId, int attempt) {
        kept(HOUR)
                .release(
                        List.of(new Attempts.Released(
                                new Attempts.HeldAttempt(taskId, attempt, "a", Instant.now(), null),
                                "\"no disk\"",
                                null)),
                        Instant.now());
    }

    /** The key was deleted or overwritten by hand, and the task may have been submitted again. */
    @Test
    void tasksThatAreNotCompletedStay() {
        complete("one", "two", "three", "four");
        StoredTask.put(
                redis.sync(),
                "one",
                Map.of("status", "assigned", "agent_id", "a", "assigned_at", "2026-01-01T00:00:00Z"));
        redis.sync().del(Keys.task("two"));
        redis.sync().del(Keys.task("three"));
        redis.sync().hset(Keys.task("three"), "no", "record");
        assertThat(kept(Duration.ZERO).deleteExpired()).isTrue();
        assertThat(redis.sync().keys("task*")).containsExactlyInAnyOrder(Keys.task("one"), Keys.task("three"));
    }

    @Test
    void manyTasksAreDeletedGradually() {
        complete(ids("first", 1_500));
        redis.sync().del(redis.sync().keys("task:*").toArray(String[]::new));
        complete(ids("second", 1_500));
        assertThat(kept(Duration.ZERO).deleteExpired()).isTrue();
        assertThat(redis.sync().keys("task:*")).hasSize(1_500);
        assertThat(kept(Duration.ZERO).deleteExpired()).isTrue();
        assertThat(redis.sync().keys("task*")).isEmpty();
    }

    @Test
    void aCorruptEntryDelaysNothing() {
        redis.sync().rpush(Keys.ENDED, "spoilt");
        complete("one");
        assertThat(kept(Duration.ZERO).deleteExpired()).isTrue();
        assertThat(redis.sync().keys("task*")).isEmpty();
    }

    private Attempts kept(Duration retention) {
        return new Attempts(redis, retention);
    }

    private static String[] ids(String name, int count) {
        return IntStream.range(0, count).mapToObj(i -> name + "-" + i).toArray(String[]::new);
    }

    private long known(String... taskIds) {
        return redis.sync().exists(List.of(taskIds).stream().map(Keys::task).toArray(String[]::new));
    }

    private void complete(String... taskIds) {
        settle(Instant.now(), taskIds);
    }

    /** The tasks have only an in-flight entry and no record of their own, which makes no difference. */
    private void settle(Instant at, String... taskIds) {
        for (String id : taskIds) {
            redis.sync().hset(Keys.inflight("a"), id, "1 1767225600000 1767225660000 -");
        }
        kept(HOUR)
                .settle(
                        List.of(taskIds).stream()
                                .map(id -> new TaskResult(
                                        null, id, 1, "a", TaskResult.Status.COMPLETED, Json.object(), null, at, at))
                                .toList(),
                        at);
    }
}

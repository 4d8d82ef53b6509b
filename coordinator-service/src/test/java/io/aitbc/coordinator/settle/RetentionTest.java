package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How long it is known of tasks that they have ended: an hour here. */
class RetentionTest {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final Duration HOUR = Duration.ofHours(1);

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;
    private Attempts attempts;

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        attempts = new Attempts(redis, HOUR);
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @Test
    void completedTasksAreForgottenAfterTheirTime() {
        complete(NOW, "one", "two");
        complete(NOW.plusSeconds(1), "three");
        assertThat(attempts.forget(NOW.plus(HOUR).minusMillis(1))).isFalse();
        assertThat(known("one", "two", "three")).isEqualTo(3);
        assertThat(attempts.forget(NOW.plus(HOUR))).isTrue();
        assertThat(known("one", "two")).isZero();
        assertThat(known("three")).isEqualTo(1);
        assertThat(attempts.forget(NOW.plus(HOUR))).isFalse();
        assertThat(attempts.forget(NOW.plus(HOUR).plusSeconds(1))).isTrue();
        assertThat(redis.sync().keys("task*")).isEmpty();
    }

    @Test
    void thoseThatEndOtherwiseExpire() {
        attempts.release(new Attempts.Held("one", 3, "a", NOW), 0, "\"in vain\"", NOW);
        assertThat(redis.sync().ttl(Keys.task("one"))).isBetween(1L, HOUR.toSeconds());
        assertThat(attempts.forget(NOW.plus(HOUR))).isFalse();
    }

    /** Somebody has deleted what was known of it, and it came again. */
    @Test
    void whatIsNotCompletedStays() {
        complete(NOW, "one", "two");
        redis.sync().hset(Keys.task("one"), "status", "assigned");
        redis.sync().del(Keys.task("two"));
        complete(NOW.plus(HOUR), "three");
        attempts.forget(NOW.plus(HOUR));
        assertThat(redis.sync().hget(Keys.task("one"), "status")).isEqualTo("assigned");
        assertThat(known("three")).isEqualTo(1);
        assertThat(attempts.forget(NOW.plus(HOUR).plus(HOUR))).isTrue();
        assertThat(known("three")).isZero();
    }

    @Test
    void manyAreForgottenLittleByLittle() {
        complete(NOW, ids("first", 1_500));
        complete(NOW, ids("second", 1_500));
        assertThat(attempts.forget(NOW.plus(HOUR))).isTrue();
        assertThat(redis.sync().keys("task:*")).hasSize(1_500);
        assertThat(attempts.forget(NOW.plus(HOUR))).isTrue();
        assertThat(redis.sync().keys("task*")).isEmpty();
    }

    @Test
    void whatSomebodyHasSpoiltHoldsNothingUp() {
        redis.sync().rpush("tasks:completed", "spoilt");
        complete(NOW, "one");
        assertThat(attempts.forget(NOW.plus(HOUR))).isTrue();
        assertThat(redis.sync().keys("task*")).isEmpty();
    }

    private static String[] ids(String name, int count) {
        return IntStream.range(0, count).mapToObj(i -> name + "-" + i).toArray(String[]::new);
    }

    private long known(String... taskIds) {
        return redis.sync().exists(List.of(taskIds).stream().map(Keys::task).toArray(String[]::new));
    }

    /** Redis knew nothing of them; that makes no difference. */
    private void complete(Instant at, String... taskIds) {
        attempts.settle(
                List.of(taskIds).stream()
                        .map(id -> new TaskResult(
                                null, id, 1, "a", TaskResult.Status.COMPLETED, Json.object(), null, at, at))
                        .toList(),
                at);
    }
}

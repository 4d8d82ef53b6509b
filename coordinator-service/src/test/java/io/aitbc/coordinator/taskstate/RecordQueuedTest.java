package io.aitbc.coordinator.taskstate;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Recording a task as queued when its hash exists already. */
class RecordQueuedTest {
    private static final Requirements REQUIREMENTS = Requirements.capabilities("gpu>=2");
    private static final WaitingTask TASK =
            ATask.named("t").requires(REQUIREMENTS).build();

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;
    private TaskStates states;

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        redis.sync().flushall();
        states = new TaskStates(redis);
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    /** An agent may have the task before the coordinator that accepted it records it as queued. */
    @Test
    void requirementsAreAddedToATaskThatWasAssignedAtOnce() {
        known("assigned", "1");
        states.recordQueued(List.of(TASK)).join();
        assertThat(redis.sync().hgetall(Keys.task("t")))
                .isEqualTo(Map.of("status", "assigned", "attempt", "1", "requirements", Json.text(REQUIREMENTS)));
    }

    @Test
    void nothingIsAddedToALaterAttemptOrChangedInThisOne() {
        known("assigned", "2");
        states.recordQueued(List.of(TASK)).join();
        assertThat(redis.sync().hgetall(Keys.task("t"))).isEqualTo(Map.of("status", "assigned", "attempt", "2"));

        Map<String, String> done = Map.of("status", "completed", "attempt", "1", "requirements", "{}");
        redis.sync().hset(Keys.task("t"), done);
        assertThat(states.recordQueued(List.of(TASK)).join()).containsExactly(true);
        assertThat(redis.sync().hgetall(Keys.task("t"))).isEqualTo(done);
    }

    private void known(String status, String attempt) {
        redis.sync().hset(Keys.task("t"), Map.of("status", status, "attempt", attempt));
    }
}

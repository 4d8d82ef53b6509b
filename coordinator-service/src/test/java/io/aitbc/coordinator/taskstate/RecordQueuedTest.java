package io.aitbc.coordinator.taskstate;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.taskstate.TaskStates.Recorded;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Recording a task as queued when it is known already. */
class RecordQueuedTest {
    private static final Requirements REQUIREMENTS = Requirements.capabilities("gpu>=2");
    private static final WaitingTask TASK =
            ATask.named("t").requires(REQUIREMENTS).build();

    private static final String TIME = "2026-01-01T00:00:00Z";

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
    void aTaskThatWasAssignedAtOnceStays() {
        assertUnchanged(
                Map.of("status", "assigned", "attempt", "1", "agent_id", "a", "assigned_at", TIME), Recorded.OTHERWISE);
        assertUnchanged(
                Map.of("status", "assigned", "attempt", "2", "agent_id", "a", "assigned_at", TIME), Recorded.OTHERWISE);
    }

    @Test
    void aTaskThatHasEndedStays() {
        assertUnchanged(Map.of("status", "completed", "attempt", "1"), Recorded.ENDED);
        assertUnchanged(Map.of("status", "cancelled", "attempt", "2"), Recorded.ENDED);
    }

    /** Of several records the last one counts, but the first one's key. */
    @Test
    void theBodyOfAWaitingTaskIsThatOfItsLastRecord() {
        WaitingTask first = ATask.named("t").at(0, 5).key("tenant").build();
        assertThat(states.recordQueued(List.of(
                                first,
                                ATask.named("t")
                                        .at(0, 6)
                                        .key("other")
                                        .requires(REQUIREMENTS)
                                        .build(),
                                first))
                        .join())
                .containsExactly(Recorded.WAITS, Recorded.WAITS, Recorded.OTHERWISE);
        assertThat(StoredTask.fields(redis.sync(), "t"))
                .containsEntry("position", "normal:0:6")
                .containsEntry("fairness_key", "tenant")
                .containsEntry("requirements", "{\"capabilities\":[\"gpu>=2\"]}");
    }

    private void assertUnchanged(Map<String, String> known, Recorded recorded) {
        redis.sync().del(Keys.task("t"));
        StoredTask.put(redis.sync(), "t", known);
        String before = redis.sync().get(Keys.task("t"));
        assertThat(states.recordQueued(List.of(TASK)).join()).containsExactly(recorded);
        assertThat(redis.sync().get(Keys.task("t"))).isEqualTo(before);
    }
}

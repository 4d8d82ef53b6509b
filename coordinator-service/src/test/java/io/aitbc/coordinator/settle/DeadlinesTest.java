package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.taskstate.StoredTask;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** When agents are checked for overdue attempts. There are two agents, one of which has tasks of a minute and more. */
class DeadlinesTest {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final Duration RETENTION = Duration.ofHours(1);

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;
    private Attempts attempts;
    private Reservations reservations;

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        attempts = new Attempts(redis, RETENTION);
        reservations = new Reservations(redis, "coordinator-1");
        IndexMark.set(redis.sync(), NOW);
        for (String agent : List.of("a", "idle")) {
            redis.sync().hset(Keys.agent(agent), Map.of("status", "active", "capacity", "10"));
            redis.sync().sadd(Keys.KNOWN_AGENTS, agent);
        }
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @Test
    void anAgentIsDueWhenTheFirstOfItsDeadlinesPasses() {
        reserve("long", 90, NOW);
        reserve("short", 5, NOW);
        reserve("middle", 30, NOW);
        assertThat(attempts.agentsDue(after(4.999))).isEmpty();
        assertThat(attempts.agentsDue(after(5))).containsExactly("a");
        assertThat(overdue(5)).containsExactly("short");
    }

    /** As while the published assignment cannot be read back yet. */
    @Test
    void anAttemptThatStaysOverdueIsFoundAgain() {
        reserve("short", 5, NOW);
        assertThat(overdue(6)).containsExactly("short");
        assertThat(attempts.agentsDue(after(6))).containsExactly("a");
        assertThat(overdue(7)).containsExactly("short");
    }

    @Test
    void afterACheckTheNextDeadlineCounts() {
        reserve("short", 5, NOW);
        reserve("middle", 30, NOW);
        settle("short", TaskResult.Status.COMPLETED, after(1));
        assertThat(overdue(5)).isEmpty();
        assertThat(attempts.agentsDue(after(29.999))).isEmpty();
        assertThat(attempts.agentsDue(after(30))).containsExactly("a");
        assertThat(overdue(30)).containsExactly("middle");
    }

    @Test
    void tasksReservedAfterACheckCount() {
        reserve("long", 90, NOW);
        assertThat(overdue(1)).isEmpty();
        reserve("short", 5, after(2));
        assertThat(attempts.agentsDue(after(6.999))).isEmpty();
        assertThat(attempts.agentsDue(after(7))).containsExactly("a");
    }

    /** The coordinator that checked the agent may have crashed before it recorded the next deadline. */
    @Test
    void anAgentWithTasksIsCheckedEveryMinute() {
        reserve("long", 90, NOW);
        assertThat(overdue(1)).isEmpty();
        assertThat(attempts.agentsDue(after(60.999))).isEmpty();
        assertThat(attempts.agentsDue(after(61))).containsExactly("a");
        settle("long", TaskResult.Status.COMPLETED, after(62));
        assertThat(overdue(63)).isEmpty();
        assertThat(attempts.agentsDue(Instant.parse("2100-01-01T00:00:00Z"))).isEmpty();
    }

    @Test
    void progressRestartsTheTimeout() {
        reserve("short", 5, NOW);
        settle("short", TaskResult.Status.PROGRESS, after(4));
        assertThat(overdue(8.999)).isEmpty();
        assertThat(attempts.agentsDue(after(9))).containsExactly("a");
        assertThat(overdue(9)).containsExactly("short");
    }

    @Test
    void aTaskReassignedToAnotherAgentIsNotOverdue() {
        reserve("short", 5, NOW);
        StoredTask.put(redis.sync(), "short", Map.of("agent_id", "idle"));
        assertThat(overdue(6)).isEmpty();
        assertThat(attempts.agentsDue(after(7))).isEmpty();
    }

    @Test
    void corruptInflightEntriesAreOverdue() {
        for (String spoilt : List.of("{}", "no JSON", "{\"deadline\":5}")) {
            reserve("short", 5, NOW);
            redis.sync().hset(Keys.inflight("a"), "short", spoilt);
            assertThat(overdue(1)).as(spoilt).containsExactly("short");
        }
    }

    @Test
    void aCorruptTaskDoesNotHideTheOthers() {
        reserve("short", 5, NOW);
        for (int at : List.of(0, 1, 2, 16, 23, 75)) {
            reserve("spoilt-" + at, 5, NOW);
            redis.sync().setrange(Keys.task("spoilt-" + at), at, "\n");
        }
        // The in-flight hash identifies the tasks whose own keys were quarantined.
        assertThat(overdue(6))
                .containsExactlyInAnyOrder(
                        "short", "spoilt-0", "spoilt-1", "spoilt-2", "spoilt-16", "spoilt-23", "spoilt-75");
        assertThat(redis.sync().keys("task:*")).containsExactly(Keys.task("short"));
        assertThat(redis.sync().keys("spoilt:task:*")).hasSize(6);
    }

    /** An invalid deadline must not exclude the agent from checks forever. */
    @Test
    void anImpossibleDeadlineHasPassed() {
        for (String strange : List.of("0", "-1", "99999999999999999999")) {
            reserve("short", 5, NOW);
            redis.sync().hset(Keys.inflight("a"), "short", "1 " + NOW.toEpochMilli() + " " + strange + " -");
            assertThat(overdue(1)).as(strange).containsExactly("short");
            assertThat(attempts.agentsDue(after(1))).as(strange).containsExactly("a");
        }
    }

    /** The in-flight entry was read, and the attempt failed, before the task was read. */
    @Test
    void aLaterAttemptOfTheSameAgentHasItsOwnDeadline() {
        reserve("short", 5, NOW);
        StoredTask.put(redis.sync(), "short", Map.of("attempt", "2"));
        assertThat(overdue(6)).isEmpty();
    }

    @Test
    void progressOfAnEarlierAttemptDoesNotCount() {
        reserve("short", 5, NOW);
        settle("short", TaskResult.Status.PROGRESS, after(86_400));
        attempts.release(
                List.of(new Attempts.Released(
                        new Attempts.HeldAttempt("short", 1, "a", NOW, null),
                        "\"no disk\"",
                        new Attempts.Requeued(
                                waiting("short", 5, NOW, 2).task(), new Position(Priority.NORMAL, 0, 2)))),
                after(1));
        reserve("short", 5, after(2), 2);
        assertThat(overdue(8)).containsExactly("short");
    }

    @Test
    void ofManyOverdueAttemptsSomeAreFoundAtOnce() {
        redis.sync().hset(Keys.agent("a"), "capacity", "1000");
        for (int i = 0; i < 501; i++) {
            reserve("short-" + i, 5, NOW);
        }
        assertThat(overdue(6)).hasSize(500);
        assertThat(attempts.agentsDue(after(6))).containsExactly("a");
        assertThat(attempts.heldBefore("a", after(6), Set.of())).hasSize(500);

        // Attempts with unread results do not hide the rest.
        Set<String> reported = attempts.overdue("a", after(6), Set.of()).stream()
                .map(Attempts.HeldAttempt::assignmentId)
                .collect(Collectors.toSet());
        assertThat(attempts.overdue("a", after(6), reported)).hasSize(501);
        assertThat(attempts.heldBefore("a", after(6), reported)).hasSize(501);
    }

    @Test
    void deadlinesOfManyAgentsAreWrittenInOneCall() {
        List<Placement> placements = new ArrayList<>();
        for (int i = 0; i < 1_201; i++) {
            redis.sync().hset(Keys.agent("agent-" + i), Map.of("status", "active", "capacity", "1"));
            placements.add(new Placement(waiting("task-" + i, 5, NOW, 1), "agent-" + i));
        }
        reservations.reserve(placements, NOW).join();
        assertThat(attempts.agentsDue(after(5))).hasSize(1_201);
    }

    /** Earlier versions did not record when agents are due. */
    @Test
    void allAgentsAreCheckedAtStartup() {
        reserve("short", 5, NOW);
        redis.sync().del(Keys.DEADLINES);
        attempts.markAllDue();
        assertThat(attempts.agentsDue(NOW)).containsExactlyInAnyOrder("a", "idle");
        assertThat(attempts.overdue("idle", NOW, Set.of())).isEmpty();
        assertThat(overdue(0)).isEmpty();
        assertThat(attempts.agentsDue(after(4.999))).isEmpty();
        assertThat(attempts.agentsDue(after(5))).containsExactly("a");
    }

    private static Instant after(double seconds) {
        return NOW.plusMillis(Math.round(seconds * 1000));
    }

    private List<String> overdue(double afterSeconds) {
        return attempts.overdue("a", after(afterSeconds), Set.of()).stream()
                .map(Attempts.HeldAttempt::taskId)
                .toList();
    }

    private void reserve(String taskId, int timeoutSeconds, Instant at) {
        reserve(taskId, timeoutSeconds, at, 1);
    }

    private void reserve(String taskId, int timeoutSeconds, Instant at, int attempt) {
        reservations
                .reserve(List.of(new Placement(waiting(taskId, timeoutSeconds, at, attempt), "a")), at)
                .join();
        assertThat(StoredTask.status(redis.sync(), taskId)).isEqualTo("assigned");
    }

    private static WaitingTask waiting(String taskId, int timeoutSeconds, Instant at, int attempt) {
        Task task = Json.read(
                        "{\"task_id\":\"" + taskId + "\",\"task_data\":{},\"timeout_seconds\":" + timeoutSeconds + "}",
                        Task.class)
                .accepted(taskId, at)
                .attempt(attempt, null);
        return new WaitingTask(task, new Position(Priority.NORMAL, 0, 1), at, 100);
    }

    private void settle(String taskId, TaskResult.Status status, Instant at) {
        attempts.settle(List.of(new TaskResult(null, taskId, 1, "a", status, Json.object(), null, at, at)), at);
    }
}

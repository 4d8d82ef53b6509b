package io.aitbc.coordinator.settle;

import static io.aitbc.coordinator.Samples.missing;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.Samples;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.intake.Redrive;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.registry.HeldAssignment;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.lettuce.core.ScriptOutputType;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What another version has left in Redis of tasks, which is converted, and notices of them. */
class SettleCompatibilityTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");
    private static final Script CANCEL = Script.loadFencedWithLimits(Reservations.class, "cancel");
    private static final Script REDRIVE = Script.loadWithLimits(Redrive.class, "redrive");
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.98, 0.98);
    private static final Requirements REQUIREMENTS = Requirements.capabilities("gpu>=2");

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;
    private Reservations reservations;
    private Attempts attempts;
    private TaskStates states;

    static Stream<Samples> versions() {
        return Samples.versions();
    }

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        reservations = new Reservations(redis, "coordinator-1");
        attempts = new Attempts(redis, Duration.ofHours(1));
        states = new TaskStates(redis);
        empty();
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void tasksAreShownAsBefore(Samples version) {
        ObjectNode hashes = Json.object();
        ObjectNode notices = Json.object();
        write(hashes, notices);

        ObjectNode shown = version.read("tasks");
        shown.remove("inflight");
        // Of the attempt before, which had not been released.
        shown.get("expired").asObject().remove(List.of("agent_id", "assigned_at", "deadline", "timeout_seconds"));
        shown.forEach(task -> task.asObject().remove(List.of("assigned_ms", "requeued")));
        assertThat(missing(shown, hashes)).isEmpty();
        assertThat(missing(version.read("notices-of-tasks"), notices)).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void attemptsOfAnotherVersionContinue(Samples version) {
        for (String assigned : List.of("assigned", "in progress", "restored")) {
            put(version, assigned);
            Attempts.HeldAttempt held = new Attempts.HeldAttempt("task-1", 1, "agent-1", NOW, null);
            attempts.markAllDue();
            assertThat(attempts.agentsDue(NOW)).as(assigned).contains("agent-1");
            assertThat(attempts.overdue("agent-1", NOW.plusSeconds(9_999), Set.of()))
                    .as(assigned)
                    .containsExactly(held);
            assertThat(attempts.heldBefore("agent-1", NOW, Set.of()))
                    .as(assigned)
                    .containsExactly(held);
            assertThat(attempts.held("task-1", 1, "agent-1")).as(assigned).isEqualTo(held);
            assertThat(reserve("task-1", 1, "agent-2"))
                    .as(assigned)
                    .extracting(Verdict::ruling, Verdict::agentId, Verdict::assignedAt)
                    .containsExactly(Verdict.Ruling.LIVE, "agent-1", NOW);
            assertThat(new Registry(redis, null, HEALTH).heldBy("agent-1"))
                    .as(assigned)
                    .containsExactly(new HeldAssignment(
                            "task-1", 1, NOW, NOW.plusSeconds(assigned.equals("in progress") ? 601 : 600), null));
            assertThat(settle("task-1", 1, TaskResult.Status.COMPLETED))
                    .as(assigned)
                    .isEqualTo(
                            assigned.equals("in progress")
                                    ? Attempts.SettleOutcome.COMPLETED_AFTER_PROGRESS
                                    : Attempts.SettleOutcome.COMPLETED);
            put(version, assigned);
            release(2);
            assertThat(reserve("task-1", 2, "agent-2").ruling()).as(assigned).isEqualTo(Verdict.Ruling.GRANTED);
        }
    }

    @ParameterizedTest
    @MethodSource("versions")
    void waitingTasksOfAnotherVersionContinue(Samples version) {
        Map.of("queued", 1, "given back", 2, "redriven", 2).forEach((queued, attempt) -> {
            put(version, queued);
            assertThat(reserve("task-1", attempt, "agent-2").ruling())
                    .as(queued)
                    .isEqualTo(Verdict.Ruling.GRANTED);
            put(version, queued);
            assertThat(cancel("task-1")).as(queued).isEqualTo("queued");
        });
        put(version, "queued");
        Map<String, String> queued = states.find("task-1").orElseThrow().fields();
        assertThat(Json.read(queued.get("requirements"), Requirements.class)).isEqualTo(REQUIREMENTS);
        assertThat(Priority.parse(queued.get("priority"))).isEqualTo(Priority.HIGH);
        assertThat(List.of(queued.get("submitted_at"), queued.get("not_before"), queued.get("expires_at")))
                .extracting(Instant::parse)
                .containsExactly(NOW, NOW.plusSeconds(1), NOW.plusSeconds(2));
    }

    @ParameterizedTest
    @MethodSource("versions")
    void endedTasksStayAsTheyAre(Samples version) {
        for (String ended : List.of("completed", "failed", "cancelled", "expired")) {
            put(version, ended);
            assertThat(states.statuses(List.of("task-1")).get("task-1").hasEnded())
                    .as(ended)
                    .isTrue();
            assertThat(reserve("task-1", 1, "agent-2").ruling())
                    .as(ended)
                    .isIn(
                            Verdict.Ruling.ENDED,
                            Verdict.Ruling.WAS_HELD,
                            Verdict.Ruling.CANCELLED,
                            Verdict.Ruling.EXPIRED);
            assertThat(settle("task-1", 1, TaskResult.Status.COMPLETED))
                    .as(ended)
                    .isIn(Attempts.SettleOutcome.LATE, Attempts.SettleOutcome.REPEATED);
            assertThat(cancel("task-1")).as(ended).isEqualTo(ended);
        }
    }

    /** One that cannot be read does not stop the conversion of the others. */
    @Test
    void whatCannotBeConvertedIsSetAside() {
        empty();
        redis.sync().hset(Keys.task("good"), Map.of("status", "completed", "attempt", "2"));
        redis.sync().hset(Keys.task("no-status"), Map.of("attempt", "1"));
        redis.sync().hset(Keys.task("no-number"), Map.of("status", "queued", "attempt", "1", "redriven", "x"));
        redis.sync().set(Keys.INDEX_COMPLETE, NOW.toString());
        convert();
        assertThat(redis.sync().keys("*task:*"))
                .containsExactlyInAnyOrder("task:good", "spoilt:task:no-status", "spoilt:task:no-number");
        assertThat(redis.sync().ttl("spoilt:task:no-status")).isPositive();
        assertThat(redis.sync().lrange(Keys.ENDED, 0, -1))
                .singleElement()
                .asString()
                .endsWith(" good:2");
        assertThat(StoredTask.status(redis.sync(), "good")).isEqualTo("completed");
    }

    private void convert() {
        redis.sync().set(Keys.INDEX_REBUILDING, "mine");
        new Conversion(redis, attempts).run("mine", NOW);
    }

    /** Redis was emptied, or another coordinator has taken over from one that was paused. */
    @Test
    void aConversionWithoutItsLockChangesNothing() {
        empty();
        redis.sync().hset(Keys.task("t"), Map.of("status", "completed", "attempt", "2"));
        redis.sync().set(Keys.INDEX_COMPLETE, NOW.toString());
        redis.sync().set(Keys.INDEX_REBUILDING, "of another");

        assertThatThrownBy(() -> new Conversion(redis, attempts).run("mine", NOW))
                .hasMessageContaining("the lock has expired");

        assertThat(redis.sync().type(Keys.task("t"))).isEqualTo("hash");
        assertThat(redis.sync().get(Keys.INDEX_COMPLETE)).isEqualTo(NOW.toString());
        assertThat(redis.sync().get(Keys.INDEX_REBUILDING)).isEqualTo("of another");
    }

    /** Its dead letter may have been written: a late result must not complete it. */
    @Test
    void aFencedAttemptStaysFenced() {
        empty();
        redis.sync()
                .hset(
                        Keys.task("t"),
                        Map.of(
                                "status",
                                "failing",
                                "attempt",
                                "1",
                                "agent_id",
                                "agent-1",
                                "assigned_at",
                                NOW.toString(),
                                "timeout_seconds",
                                "60"));
        redis.sync()
                .hset(
                        Keys.inflight("agent-1"),
                        "t",
                        "{\"attempt\":1,\"assigned_at\":\"" + NOW + "\",\"deadline\":\"" + NOW.plusSeconds(60) + "\"}");
        redis.sync().set(Keys.INDEX_COMPLETE, NOW.toString());
        convert();

        assertThat(settle("t", 1, TaskResult.Status.COMPLETED)).isEqualTo(Attempts.SettleOutcome.LATE);
        assertThat(settle("t", 1, TaskResult.Status.FAILED)).isEqualTo(Attempts.SettleOutcome.TO_REQUEUE);
        assertThat(attempts.overdue("agent-1", NOW.plusSeconds(61), Set.of()))
                .extracting(Attempts.HeldAttempt::taskId)
                .containsExactly("t");
    }

    /** Runs all operations of the current version on a task. */
    private void write(ObjectNode hashes, ObjectNode notices) {
        WaitingTask waiting = ATask.named("task-1")
                .priority(Priority.HIGH)
                .since(NOW)
                .requires(REQUIREMENTS)
                .notBefore(NOW.plusSeconds(1))
                .expiresAt(NOW.plusSeconds(2))
                .build();
        states.recordQueued(List.of(waiting)).join();
        hashes.set("queued", hash("task-1"));
        empty();

        reserve("task-1", 1, "agent-1");
        notices.set("reserved", overheard.notice());
        hashes.set("assigned", hash("task-1"));
        settle("task-1", 1, TaskResult.Status.PROGRESS);
        hashes.set("in progress", hash("task-1"));
        settle("task-1", 1, TaskResult.Status.COMPLETED);
        notices.set("settled", overheard.notice());
        hashes.set("completed", hash("task-1"));
        empty();

        reserve("task-1", 1, "agent-1");
        overheard.notice();
        release(2);
        notices.set("given back", overheard.notice());
        hashes.set("given back", hash("task-1"));
        empty();

        reserve("task-1", 1, "agent-1");
        overheard.notice();
        release(0);
        overheard.notice();
        hashes.set("failed", hash("task-1"));
        REDRIVE.runSync(
                redis,
                List.of(
                        "task-1",
                        TaskRecord.ended(waiting("task-1", 1).task(), TaskStatus.FAILED, Priority.HIGH, null, NOW),
                        String.valueOf(NOW.toEpochMilli()),
                        "high",
                        ""));
        hashes.set("redriven", hash("task-1"));
        empty();

        reserve("task-3", 1, "agent-1");
        overheard.notice();
        reserve("task-3", 2, "agent-2");
        notices.set("reserved elsewhere", overheard.notice());
        cancel("task-3");
        notices.set("cancelled at an agent", overheard.notice());
        empty();

        reserve("task-1", 1, "agent-1");
        overheard.notice();
        cancel("task-1");
        overheard.notice();
        hashes.set("cancelled", hash("task-1"));
        states.recordQueued(List.of(waiting("task-4", 1))).join();
        cancel("task-4");
        notices.set("cancelled", overheard.notice());
        empty();

        reserve("task-1", 1, "agent-1");
        overheard.notice();
        reservations
                .endWaiting(List.of(waiting("task-1", 2)), TaskStatus.EXPIRED, "", LimitBook.EMPTY, NOW)
                .join();
        notices.set("expired", overheard.notice());
        hashes.set("expired", hash("task-1"));
        empty();

        redis.sync().set(Keys.INDEX_REBUILDING, "a turn");
        attempts.restore(
                "a turn", List.of(Assignment.of(waiting("task-1", 1).task(), Priority.HIGH, "agent-1", NOW)), NOW);
        notices.set("restored", overheard.notice());
        hashes.set("restored", hash("task-1"));
        attempts.publishUnpublished(List.of("task-1"));
        notices.set("unpublished", overheard.notice());
        attempts.publishRebuilt();
        notices.set("rebuilt", overheard.notice());
    }

    @Test
    void severalResultsOfATaskInABatchAreSettledInTheirOrder() {
        reserve("task-1", 1, "agent-1");
        reserve("task-2", 1, "agent-1");
        assertThat(attempts.settle(
                        List.of(
                                result("task-1", TaskResult.Status.PROGRESS),
                                result("task-2", TaskResult.Status.COMPLETED),
                                result("task-1", TaskResult.Status.PROGRESS),
                                result("task-1", TaskResult.Status.COMPLETED),
                                result("task-1", TaskResult.Status.COMPLETED)),
                        NOW))
                .containsExactly(
                        Attempts.SettleOutcome.PROGRESSED,
                        Attempts.SettleOutcome.COMPLETED,
                        Attempts.SettleOutcome.PROGRESSED,
                        Attempts.SettleOutcome.COMPLETED_AFTER_PROGRESS,
                        Attempts.SettleOutcome.REPEATED);
        assertThat(attempts.progressReports(Map.of("task-1", 1, "task-2", 1))).isEqualTo(Map.of("task-1", 2));
        assertThat(attempts.progressReports(Map.of("task-1", 2))).isEmpty();
        assertThat(redis.sync().hget(Keys.TASK_STATS, "completed")).isEqualTo("2");
        assertThat(redis.sync().exists(Keys.inflight("agent-1"))).isZero();
    }

    @Test
    void aResultOfAnAgentWhoseIdBeginsTheHoldersIsLate() {
        reserve("task-1", 1, "agent-1");
        TaskResult ofAnother = new TaskResult(
                null, "task-1", 1, "agent", TaskResult.Status.COMPLETED, Json.tree("mine"), null, NOW, NOW);
        assertThat(attempts.settle(List.of(ofAnother), NOW)).containsExactly(Attempts.SettleOutcome.LATE);
    }

    @Test
    void eachVerdictSaysHowManyItsAgentHeldThen() {
        reserve("task-1", 1, "agent-1");
        List<Placement> placements = List.of(
                new Placement(waiting("task-2", 1), "agent-1"),
                new Placement(waiting("task-3", 1), "agent-2"),
                new Placement(waiting("task-1", 1), "agent-1"),
                new Placement(waiting("task-4", 1), "agent-1"));
        assertThat(reservations.reserve(placements, NOW).join().stream().map(Verdict::held))
                .containsExactly(2, 1, 2, 3);
    }

    @Test
    void anAgentIsDueAtTheEarliestDeadlineOfABatch() {
        List<Placement> placements = Stream.of(600, 30, 60)
                .map(timeout -> {
                    String id = "task-" + timeout;
                    Task task = Json.read("{\"task_data\":{},\"timeout_seconds\":" + timeout + "}", Task.class)
                            .accepted(id, NOW);
                    return new Placement(new WaitingTask(task, waiting(id, 1).position(), NOW, 100), "agent-1");
                })
                .toList();
        reservations.reserve(placements, NOW).join();

        assertThat(attempts.agentsDue(NOW.plusSeconds(29))).isEmpty();
        assertThat(attempts.agentsDue(NOW.plusSeconds(30))).containsExactly("agent-1");
    }

    /** Lengths at which MessagePack writes a length in another way, in characters of two bytes. */
    @ParameterizedTest
    @ValueSource(ints = {1, 100, 127, 128, 40_000})
    void aResultOfAnyLengthIsKept(int length) {
        reserve("task-1", 1, "agent-1");
        String said = "ä".repeat(length);
        TaskResult result = new TaskResult(
                null, "task-1", 1, "agent-1", TaskResult.Status.COMPLETED, Json.tree(said), null, NOW, NOW);
        assertThat(attempts.settle(List.of(result), NOW)).containsExactly(Attempts.SettleOutcome.COMPLETED);
        assertThat(StoredTask.fields(redis.sync(), "task-1")).containsEntry("result", Json.text(said));
    }

    /** Format, attempt, length, times, and the end of the record: the attempt goes on by its agent's in-flight entry. */
    @ParameterizedTest
    @ValueSource(ints = {0, 12, 15, 18, 20, 28, 36, 41, -1})
    void aResultOutlivesASpoiltRecord(int at) {
        reserve("task-1", 1, "agent-1");
        StringBuilder record = new StringBuilder(redis.sync().get(Keys.task("task-1")));
        record.setCharAt(at < 0 ? record.length() + at : at, '*');
        redis.sync().set(Keys.task("task-1"), record.toString());
        assertThat(settle("task-1", 1, TaskResult.Status.COMPLETED)).isEqualTo(Attempts.SettleOutcome.COMPLETED);
        assertThat(StoredTask.fields(redis.sync(), "task-1"))
                .containsEntry("result", "{\"said\":\"hello\"}")
                .containsEntry("assigned_at", NOW.toString());
    }

    /** The record is quarantined once. */
    @Test
    void aSpoiltRecordThatABatchNamesTwiceDoesNotFailIt() {
        reserve("task-1", 1, "agent-1");
        redis.sync().set(Keys.task("task-1"), "spoilt");
        Attempts.HeldAttempt held = new Attempts.HeldAttempt("task-1", 1, "agent-1", NOW, null);
        assertThat(attempts.fence(List.of(held, held))).containsExactly(true, true);

        redis.sync().set(Keys.task("task-1"), "spoilt");
        Attempts.Released failed = new Attempts.Released(held, "\"why\"", null);
        assertThat(attempts.release(List.of(failed, failed), NOW)).containsExactly(true, false);
        assertThat(StoredTask.status(redis.sync(), "task-1")).isEqualTo("failed");
    }

    /** As text, it does not equal its bytes. */
    @Test
    void aRecordThatIsNotUtf8IsSetAside() {
        String record = TaskRecord.queued(
                waiting("task-1", 1).task(), waiting("task-1", 1).position());
        redis.sync()
                .eval(
                        "return redis.call('SET', KEYS[1], ARGV[1] .. '\\255\\254')",
                        ScriptOutputType.STATUS,
                        new String[] {Keys.task("task-1")},
                        record);

        assertThat(states.find("task-1")).isEmpty();
        assertThat(redis.sync().keys("*task:*")).containsExactly("spoilt:task:task-1");
    }

    private static TaskResult result(String taskId, TaskResult.Status status) {
        return new TaskResult(null, taskId, 1, "agent-1", status, Json.object().put("said", "hello"), null, NOW, NOW);
    }

    private Verdict reserve(String taskId, int attempt, String agentId) {
        return reservations
                .reserve(List.of(new Placement(waiting(taskId, attempt), agentId)), NOW)
                .join()
                .get(0);
    }

    private Attempts.SettleOutcome settle(String taskId, int attempt, TaskResult.Status status) {
        Instant now = NOW.plusSeconds(1);
        TaskResult result = new TaskResult(
                null, taskId, attempt, "agent-1", status, Json.object().put("said", "hello"), null, NOW, now);
        return attempts.settle(List.of(result), now).get(0);
    }

    /** @param next 0 if there is no further attempt */
    private void release(int next) {
        WaitingTask retry = waiting("task-1", Math.max(1, next));
        attempts.release(
                List.of(new Attempts.Released(
                        new Attempts.HeldAttempt("task-1", 1, "agent-1", NOW, null),
                        "\"out of memory\"",
                        next == 0 ? null : new Attempts.Requeued(retry.task(), retry.position()))),
                NOW);
    }

    private Object cancel(String taskId) {
        return CANCEL.runSync(redis, List.of(taskId, String.valueOf(NOW.toEpochMilli()), ""))
                .get(0);
    }

    private static WaitingTask waiting(String taskId, int attempt) {
        Task task = Task.of(taskId, Json.object(), Requirements.NONE)
                .accepted(taskId, NOW)
                .attempt(attempt, null);
        return new WaitingTask(task, new Position(Priority.HIGH, 0, 1), NOW, 100);
    }

    /** Resets Redis to two idle agents. */
    private void empty() {
        redis.sync().flushall();
        IndexMark.set(redis.sync(), NOW);
        for (String agent : List.of("agent-1", "agent-2")) {
            redis.sync().hset(Keys.agent(agent), Map.of("status", "active", "capacity", "10"));
        }
    }

    /** Writes the task as the given version does, plus a field unknown to all versions, and converts it. */
    private void put(Samples version, String name) {
        empty();
        JsonNode tasks = version.read("tasks");
        redis.sync().hset(Keys.task("task-1"), fields(tasks.get(name)));
        redis.sync().hset(Keys.task("task-1"), "field_of_tomorrow", "f");
        if (tasks.get(name).get("status").asString().equals("assigned")) {
            redis.sync().sadd(Keys.KNOWN_AGENTS, "agent-1");
            redis.sync().hset(Keys.inflight("agent-1"), fields(tasks.get("inflight")));
        }
        redis.sync().set(Keys.INDEX_COMPLETE, NOW.toString());
        assertThatThrownBy(() -> cancel("task-1")).hasMessageContaining("the data of version 0.1 are being converted");
        convert();
    }

    private JsonNode hash(String taskId) {
        return Json.tree(StoredTask.fields(redis.sync(), taskId));
    }

    private static Map<String, String> fields(JsonNode hash) {
        Map<String, String> fields = new HashMap<>();
        hash.forEachEntry((field, value) -> fields.put(field, value.asString()));
        return fields;
    }
}

package io.aitbc.coordinator.taskstate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The layout of a task's record, which Java and Lua share. */
class TaskRecordTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00.123Z");
    private static final Position POSITION = new Position(Priority.HIGH, 3, 1_742);
    private static final Script READ = Script.load(TaskRecordTest.class, "read-record");
    private static final Script PACK = Script.load(TaskRecordTest.class, "pack-number");
    private static final Script CHANGE = Script.load(TaskRecordTest.class, "change-record");

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        redis.sync().flushall();
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @Test
    void luaReadsWhatJavaWrites() {
        Random random = new Random(26);
        List<String> records = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            records.add(anyRecord(random));
        }
        List<Object> read = READ.runSync(redis, records);
        for (int i = 0; i < records.size(); i++) {
            String record = records.get(i);
            Map<String, String> fields = TaskRecord.fields("t", record);
            String status = fields.get("status");
            String tail = String.join(
                    "\n",
                    fields.getOrDefault("progress", ""),
                    fields.getOrDefault("error", ""),
                    fields.getOrDefault("result", ""),
                    nanoseconds(fields.get("agent_started_at")),
                    nanoseconds(fields.get("agent_finished_at")));
            assertThat(read.get(i))
                    .as(record)
                    .isEqualTo(String.join(
                            "|",
                            status,
                            fields.get("attempt"),
                            fields.getOrDefault("agent_id", ""),
                            fields.getOrDefault("fairness_key", ""),
                            record.charAt(1) == 'q' ? fields.get("position") : "",
                            milliseconds(fields.get("assigned_at")),
                            milliseconds(fields.get("deadline")),
                            tail.isBlank() ? "" : tail));
        }
    }

    private static String milliseconds(@Nullable String time) {
        return String.format("%013d", time == null ? 0 : Instant.parse(time).toEpochMilli());
    }

    private static String nanoseconds(@Nullable String time) {
        return time == null
                ? ""
                : Long.toString(
                        TimeUnit.MILLISECONDS.toNanos(Instant.parse(time).toEpochMilli()), 36);
    }

    private static String anyRecord(Random random) {
        Task task = task(
                random.nextInt(2) == 0
                        ? null
                        : List.of("tenant", "mieter ä", "顧客", "😀").get(random.nextInt(4)),
                random.nextInt(2) == 0
                        ? Requirements.NONE
                        : Requirements.capabilities("gpu>=" + random.nextInt(9), "größe"),
                1 + random.nextInt(1_000_000),
                random.nextInt(3) == 0 ? NOW.plusSeconds(random.nextInt(99)) : null);
        Assignment assignment = Assignment.of(task, Priority.LOW, "agent-1", NOW);
        return switch (random.nextInt(6)) {
            case 0 -> TaskRecord.queued(task, POSITION);
            case 1 -> TaskRecord.assigned(task, "agent-1", POSITION, NOW);
            case 2 -> TaskRecord.restored(assignment, NOW);
            case 3 -> TaskRecord.ended(task, TaskStatus.EXPIRED, Priority.LOW, POSITION, NOW);
            default ->
                TaskRecord.settled(
                        assignment,
                        TaskResult.of(
                                assignment,
                                random.nextBoolean() ? TaskResult.Status.COMPLETED : TaskResult.Status.FAILED,
                                Json.object().put("text", "line\nbreak ä"),
                                Json.MAPPER.valueToTree("why\n"),
                                NOW,
                                NOW),
                        NOW);
        };
    }

    private static Task task(
            @Nullable String key, Requirements requirements, int attempt, @Nullable Instant notBefore) {
        return new Task(
                "t",
                Payload.of(Json.object()),
                null,
                requirements,
                5,
                60,
                notBefore,
                null,
                NOW,
                attempt,
                null,
                null,
                key,
                null,
                Map.of("team", "größe"),
                Map.of("openai/gpt-5", 1L),
                Map.of());
    }

    @Test
    void allFieldsAreReadBack() {
        Task task = task("tenant", Requirements.capabilities("gpu"), 2, NOW.plusSeconds(5));
        assertThat(TaskRecord.fields("t", TaskRecord.queued(task, POSITION)))
                .containsAllEntriesOf(Map.of(
                        "task_id", "t",
                        "status", "queued",
                        "attempt", "2",
                        "max_attempts", "5",
                        "timeout_seconds", "60",
                        "priority", "high",
                        "position", "high:3:1742",
                        "submitted_at", "2026-11-01T12:00:00.123Z",
                        "not_before", "2026-11-01T12:00:05.123Z",
                        "fairness_key", "tenant"))
                .containsEntry("requirements", "{\"capabilities\":[\"gpu\"]}")
                .containsEntry("labels", "{\"team\":\"größe\"}")
                .containsEntry("uses", "{\"openai/gpt-5\":1}")
                .doesNotContainKeys("agent_id", "assigned_at", "deadline", "error");
        assertThat(TaskRecord.fields("t", TaskRecord.assigned(task, "a", POSITION, NOW)))
                .containsEntry("agent_id", "a")
                .containsEntry("assigned_at", "2026-11-01T12:00:00.123Z")
                .containsEntry("deadline", "2026-11-01T12:01:00.123Z")
                .doesNotContainKey("position");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "1969-12-31T23:59:59.999999999Z",
                "1970-01-01T00:00:00Z",
                "2026-11-01T12:00:00.123456789Z",
                "2262-04-11T23:47:16.854775807Z",
                "2262-04-11T23:47:16.854775808Z",
                "-2026-01-01T00:00:00Z",
                "+999999999-12-31T23:59:59.999999999Z"
            })
    void timesOfOthersAreKeptAsTheyAre(Instant time) {
        Task task = Task.of("t", Json.object(), Requirements.NONE).accepted("t", time);
        Assignment assignment = Assignment.of(task, Priority.LOW, "agent-1", NOW);
        TaskResult result = TaskResult.of(assignment, TaskResult.Status.COMPLETED, Json.object(), null, time, time);
        assertThat(TaskRecord.fields("t", TaskRecord.settled(assignment, result, NOW)))
                .containsEntry("submitted_at", time.toString())
                .containsEntry("agent_started_at", time.toString())
                .containsEntry("agent_finished_at", time.toString())
                .containsEntry("priority", "low");
        Assignment held = Assignment.of(task, Priority.LOW, "agent-1", time);
        assertThat(READ.runSync(redis, List.of(TaskRecord.restored(held, NOW))).get(0))
                .isEqualTo("assigned|1|agent-1|||"
                        + TaskRecord.inflightEntry(1, time, NOW.plusSeconds(task.timeoutSeconds()), null)
                                .replaceAll("^1 (\\d+) (\\d+) -$", "$1|$2")
                        + "|");
    }

    @Test
    void luaChangesWhatIsToChangeAndNothingElse() {
        Task task = task("tenant", Requirements.capabilities("gpu"), 3, null);
        StringBuilder redriven =
                new StringBuilder(TaskRecord.assigned(task, "agent-1", POSITION, NOW)).replace(15, 19, "0003");
        Map<String, String> before = TaskRecord.fields("t", redriven.toString());
        Instant later = NOW.plusSeconds(7);
        Task next = task(null, Requirements.capabilities("gpu"), 4, null);
        TaskResult result = TaskResult.of(
                Assignment.of(task, Priority.HIGH, "agent-1", NOW),
                TaskResult.Status.COMPLETED,
                Json.object().put("sum", 1),
                null,
                NOW,
                later);
        List<Map<String, String>> changed = CHANGE
                .runSync(
                        redis,
                        List.of(
                                redriven.toString(),
                                String.valueOf(later.toEpochMilli()),
                                TaskRecord.assigned(next, "agent-2", POSITION, later),
                                "{\"percent\":40}",
                                TaskRecord.outcome(result)))
                .stream()
                .map(record -> TaskRecord.fields("t", (String) record))
                .toList();
        assertThat(changed.get(0))
                .isEqualTo(with(
                        before,
                        Map.of(
                                "attempt",
                                "4",
                                "agent_id",
                                "agent-2",
                                "assigned_at",
                                later.toString(),
                                "deadline",
                                later.plusSeconds(60).toString())));
        assertThat(changed.get(1))
                .isEqualTo(with(
                        before,
                        Map.of(
                                "progress_at",
                                later.toString(),
                                "progress_reports",
                                "1",
                                "progress",
                                "{\"percent\":40}")));
        assertThat(changed.get(2))
                .isEqualTo(with(before, Map.of("status", "cancelled", "finished_at", later.toString())));
        assertThat(changed.get(3)).isEqualTo(before);
        assertThat(changed.get(5)).isEqualTo(with(changed.get(0), Map.of("progress", "{\"percent\":40}")));
        assertThat(changed.get(6))
                .isEqualTo(with(changed.get(1), Map.of("status", "cancelled", "finished_at", later.toString())));
        assertThat(changed.get(4))
                .isEqualTo(with(
                        before,
                        Map.of(
                                "status", "completed",
                                "finished_at", later.toString(),
                                "result", "{\"sum\":1}",
                                "agent_started_at", NOW.toString(),
                                "agent_finished_at", later.toString())));
    }

    private static Map<String, String> with(Map<String, String> fields, Map<String, String> others) {
        Map<String, String> all = new HashMap<>(fields);
        all.putAll(others);
        return all;
    }

    /** As from an agent's in-flight hash that was changed by hand. */
    @ParameterizedTest
    @CsvSource({
        "9, 0009, 000000009",
        "1679616, zzzz, 000010000",
        "99999999999999999999999999, zzzz, zzzzzzzzz",
        "1e400, 0000, 000000000",
        "-1, 0000, 000000000",
        "nan, 0000, 000000000",
        "x, 0000, 000000000"
    })
    void luaPacksAnyNumber(String number, String narrow, String wide) {
        assertThat(PACK.runSync(redis, List.of(number))).containsExactly(narrow, wide);
    }

    /** Each byte of the head, and the end of the body. */
    @Test
    void aSpoiltRecordIsNotReadAsAnother() {
        String record = TaskRecord.assigned(task("k", Requirements.NONE, 1, null), "a", POSITION, NOW);
        for (int at = 0; at < record.length(); at++) {
            String spoilt = record.substring(0, at) + "\n" + record.substring(at + 1);
            if (!spoilt.equals(record)) {
                assertThat(TaskState.read("t", spoilt)).as("spoilt at %d", at).isNull();
            }
            assertThat(TaskState.read("t", record.substring(0, at)))
                    .as("cut at %d", at)
                    .isNull();
            if (at < record.indexOf("a\n")) {
                assertThat(READ.runSync(redis, List.of(spoilt)))
                        .as("spoilt at %d", at)
                        .containsExactly("spoilt");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"3 1767225600000", "17 x"})
    void theDataOfANewerVersionIsRefused(String mark) {
        redis.sync().set(Keys.INDEX_COMPLETE, mark);
        assertThatThrownBy(redis::checkFormat)
                .hasMessage("it holds the data of a newer version of the coordinator, which this one cannot read");
        assertThatThrownBy(() -> new TaskStates(redis).recordAccepted(Map.of()))
                .hasMessageContaining("the data of a newer version");
    }

    /** The first is of version 0.1, which is converted; what others have written is converted too, and nothing is lost by that. */
    @ParameterizedTest
    @ValueSource(strings = {"2026-11-01T12:00:00Z", "now", "", "2 1767225600000"})
    void anyOtherMarkIsNotThatOfANewerVersion(String mark) {
        redis.sync().set(Keys.INDEX_COMPLETE, mark);
        redis.checkFormat();
    }
}

package io.aitbc.coordinator.history;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

class TaskHistoryTest {
    private static final Instant NOW = Instant.parse("2026-11-20T12:00:00.123Z");
    private static final Clock CLOCK = Clock.fixed(NOW, ZoneOffset.UTC);
    private static final Lookups LOOKUPS = new Lookups();
    private static final Duration RETENTION = Duration.ofDays(30);
    /** Of percentiles. */
    private static final Percentage ACCURATE = withinPercentage(3);

    @TempDir
    private static Path folder;

    private static LocalPostgres postgres;
    private static HistoryDatabase database;
    private static HistoryWriter writer;
    private static TaskHistory history;

    @BeforeAll
    static void start() {
        postgres = LocalPostgres.start(folder, LocalStack.freePort());
        database = new HistoryDatabase(new HistorySettings(postgres.url(), "", "", RETENTION), CLOCK);
        database.migrate();
        writer = new HistoryWriter(database, RETENTION, CLOCK);
        history = new TaskHistory(database, LOOKUPS, CLOCK);
    }

    @AfterAll
    static void end() {
        database.close();
        postgres.close();
    }

    @BeforeEach
    void empty() {
        database.use(() -> database.client()
                .sql("TRUNCATE tasks, attempts, samples, figure_days, figure_hours, figure_changes")
                .update());
    }

    private static Task task(String id, Instant at) {
        return Json.read("""
                        {"task_data":{"task_type":"resize","x":1},"labels":{"team":"search","tier":"gold"},"fairness_key":"acme",
                         "fairness_weight":2.5,"requirements":{"agent_type":"gpu","capabilities":["cuda>=12"]},"max_attempts":2}
                        """, Task.class).accepted(id, at);
    }

    /** Failed on agent a, completed on agent b. */
    private static List<TaskEvent> life(String id, Instant at) {
        Task task = task(id, at);
        Task again = task.attempt(2, at.plusSeconds(4));
        return List.of(
                TaskEvent.accepted(task, Priority.HIGH),
                TaskEvent.assigned(task, Priority.HIGH, "a", at.plusSeconds(1)),
                TaskEvent.failed(
                        id, 1, "a", at.plusSeconds(1), "failed", Json.tree("disk full"), again, at.plusSeconds(3)),
                TaskEvent.assigned(again, Priority.HIGH, "b", at.plusSeconds(5)),
                TaskEvent.completed(result(id, 2, "b", "{\"sum\":42}", at.plusSeconds(5)), at.plusSeconds(15)));
    }

    private static TaskResult result(String id, int attempt, String agent, String result, Instant started) {
        return new TaskResult(
                null,
                id,
                attempt,
                agent,
                TaskResult.Status.COMPLETED,
                Json.read(result, JsonNode.class),
                null,
                started,
                started.plusSeconds(9));
    }

    private static List<TaskEvent> failing(String id, Instant at, String error) {
        return List.of(
                TaskEvent.assigned(task(id, at), Priority.LOW, "a", at.plusSeconds(1)),
                TaskEvent.failed(id, 1, "a", at.plusSeconds(1), "failed", Json.tree(error), null, at.plusSeconds(2)));
    }

    @Test
    void whatATaskWasIsFound() {
        writer.write(life("order-1", NOW));

        assertThat(history.find("order-1")).contains(Json.read("""
                {"task_id":"order-1","status":"completed","priority":"high","task_type":"resize","fairness_key":"acme",
                 "fairness_weight":2.5,"labels":{"team":"search","tier":"gold"},"agent_id":"b","attempt":2,"submitted_at":"2026-11-20T12:00:00.123Z",
                 "assigned_at":"2026-11-20T12:00:05.123Z","finished_at":"2026-11-20T12:00:15.123Z",
                 "task_data":{"task_type":"resize","x":1},"requirements":{"agent_type":"gpu","capabilities":["cuda>=12"]},
                 "max_attempts":2,"timeout_seconds":600,"result":{"sum":42},
                 "attempts":[
                   {"attempt":1,"agent_id":"a","outcome":"failed","assigned_at":"2026-11-20T12:00:01.123Z",
                    "finished_at":"2026-11-20T12:00:03.123Z","error":"disk full","not_before":"2026-11-20T12:00:04.123Z"},
                   {"attempt":2,"agent_id":"b","outcome":"completed","assigned_at":"2026-11-20T12:00:05.123Z",
                    "started_at":"2026-11-20T12:00:05.123Z","finished_at":"2026-11-20T12:00:15.123Z"}]}
                """, ObjectNode.class));
        assertThat(history.find("order-2")).isEmpty();
    }

    /** The log is not in order, and at least once. */
    @Test
    void anyOrderAndRepetitionOfEventsGivesTheSame() {
        List<TaskEvent> events = life("order-1", NOW);
        writer.write(events);
        ObjectNode expected = history.find("order-1").orElseThrow();
        Random random = new Random(7);
        for (int i = 0; i < 100; i++) {
            empty();
            List<TaskEvent> shuffled = new ArrayList<>(events);
            shuffled.add(events.get(random.nextInt(events.size())));
            Collections.shuffle(shuffled, random);
            for (int from = 0; from < shuffled.size(); ) {
                int to = Math.min(shuffled.size(), from + 1 + random.nextInt(3));
                writer.write(shuffled.subList(from, to));
                from = to;
            }
            ObjectNode found = history.find("order-1").orElseThrow();
            // The times of a waiting task are not those of one that has ended.
            assertThat(found).as("%s", shuffled).isEqualTo(expected);
        }
    }

    /** Another record with the same id does not change whose task it is. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aTaskIsDescribedByItsFirstEvent(boolean inOneBatch) {
        Task keyless = Json.read("{\"task_data\":{\"x\":1}}", Task.class).accepted("twice", NOW);
        List<TaskEvent> events = List.of(
                TaskEvent.accepted(keyless, Priority.HIGH),
                TaskEvent.assigned(task("twice", NOW), Priority.HIGH, "a", NOW.plusSeconds(1)));
        if (inOneBatch) {
            writer.write(events);
        } else {
            events.forEach(event -> writer.write(List.of(event)));
        }

        ObjectNode found = history.find("twice").orElseThrow();

        assertThat(found.get("task_data")).isEqualTo(Json.object().put("x", 1));
        assertThat(found.has("fairness_key")).isFalse();
        assertThat(found.has("labels")).isFalse();
    }

    /** It may be another tenant's. */
    @Test
    void anIdThatIsUsedAgainIsAnotherTask() {
        writer.write(life("reused", NOW.minus(Duration.ofHours(30))));
        Task other = Json.read("{\"task_data\":{\"y\":2},\"fairness_key\":\"other\"}", Task.class)
                .accepted("reused", NOW);

        writer.write(List.of(TaskEvent.accepted(other, Priority.LOW)));
        // Published once more.
        writer.write(life("reused", NOW.minus(Duration.ofHours(30))));

        ObjectNode found = history.find("reused").orElseThrow();
        assertThat(found.get("fairness_key").asString()).isEqualTo("other");
        assertThat(found.get("status").asString()).isEqualTo("queued");
        assertThat(found.get("attempts")).isEmpty();
        assertThat(found.has("result")).isFalse();
        assertThat(found.has("labels")).isFalse();
    }

    @Test
    void aScheduledTaskHasWaitedSinceItsTime() {
        Task scheduled = task("scheduled", NOW.minusSeconds(3_000)).attempt(1, NOW.minusSeconds(10));
        writer.write(List.of(
                TaskEvent.assigned(scheduled, Priority.LOW, "a", NOW.minusSeconds(9)),
                TaskEvent.completed(result("scheduled", 1, "a", "1", NOW), NOW.minusSeconds(1))));

        assertThat(new TaskFigures(database, LOOKUPS, CLOCK)
                        .of(TaskFigures.Group.TASK_TYPE, Duration.ofHours(1), 10)
                        .all()
                        .waiting()
                        .p50())
                .isCloseTo(1.0, ACCURATE);
    }

    /** The end of a task may come days after its first event. */
    @Test
    void aTaskStaysInTheDayOfItsFirstEvent() {
        List<TaskEvent> events = life("old", NOW.minus(Duration.ofDays(20)));
        events.forEach(event -> writer.write(List.of(event)));
        writer.write(failing("new", NOW, "x"));

        assertThat(database.<List<String>>use(() -> database.client()
                        .sql("SELECT task_id || ' ' || day FROM tasks ORDER BY 1")
                        .query(String.class)
                        .list()))
                .containsExactly("new 2026-11-20", "old 2026-10-31");
    }

    @Test
    void daysAreDroppedAfterTheRetention() {
        writer.write(failing("old", NOW.minus(Duration.ofDays(29)), "x"));
        writer.write(failing("new", NOW, "x"));
        HistoryWriter later =
                new HistoryWriter(database, RETENTION, Clock.fixed(NOW.plus(Duration.ofDays(2)), ZoneOffset.UTC));

        assertThat(later.dropOldDays()).isPositive();

        assertThat(history.find("old")).isEmpty();
        assertThat(history.find("new")).isPresent();
        // A late event of a day that is gone.
        later.write(failing("older", NOW.minus(Duration.ofDays(400)), "x"));
        assertThat(history.find("older")).isPresent();
    }

    @ParameterizedTest
    @CsvSource({
        "status=failed, f1 f2 f3",
        "reason=failed, f1 f2 f3",
        "reason=overdue, ''",
        "status=completed+agent=a, c",
        "agent=b, c",
        "agent=nobody, ''",
        "agent_type=gpu, c f1 f2 f3",
        "capability=cuda>=12, c f1 f2 f3",
        "capability=cuda, ''",
        "task_type=resize+status=completed, c",
        "fairness_key=acme+priority=low, f1 f2 f3",
        "fairness_key=other, ''",
        "label=search, c f1 f2 f3",
        "label=other, ''",
        "error=out memory, f1 f2",
        "error=memory -gpu, f1",
        "error=\"of memory\", f1 f2",
        "error=DISK, c f3",
        "error=SocketTimeoutException, f4",
        "error=connect java.net, f4",
        "error=/var/lib, f4",
        "error=refused by -model, ''",
        "error=\"line refused\", f4",
        "id=f, f1 f2 f3",
        "id=f1, f1",
        "id=%, ''",
        "after=60, f2 f3",
        "before=60, c f1",
        "min=9, c",
        "min=11, ''",
    })
    void filters(String conditions, String expected) {
        writer.write(life("c", NOW));
        writer.write(failing("f1", NOW.plusSeconds(30), "out of memory"));
        writer.write(failing("f2", NOW.plusSeconds(60), "gpu: Out of memory"));
        writer.write(failing("f3", NOW.plusSeconds(90), "disk full"));

        if (conditions.startsWith("error=")) {
            writer.write(failing(
                    "f4",
                    NOW.plusSeconds(99),
                    "java.net.SocketTimeoutException: connect\n\tat line\nrefused by /var/lib/model.bin"));
        }

        TaskHistory.Page page = history.list(filter(conditions), TaskFilter.Sort.SUBMITTED, 10, null);

        assertThat(page.tasks().stream().map(task -> task.get("task_id").asString()))
                .containsExactly(expected.isEmpty() ? new String[0] : expected.split(" "));
        assertThat(page.count()).isEqualTo(page.tasks().size());
        assertThat(page.isExact()).isTrue();
        assertThat(page.cursor()).isNull();
    }

    private static TaskFilter filter(String conditions) {
        Map<String, String> given = new java.util.HashMap<>();
        for (String condition : conditions.split("\\+")) {
            int equals = condition.indexOf('=');
            if (equals > 0) {
                given.put(condition.substring(0, equals), condition.substring(equals + 1));
            }
        }
        return new TaskFilter(
                given.containsKey("status")
                        ? List.of(TaskStatus.valueOf(given.get("status").toUpperCase(java.util.Locale.ROOT)))
                        : List.of(),
                given.containsKey("priority") ? List.of(Priority.parse(given.get("priority"))) : List.of(),
                given.get("agent"),
                given.get("agent_type"),
                given.get("capability"),
                given.get("task_type"),
                given.get("fairness_key"),
                given.containsKey("label") ? Map.of("team", given.get("label")) : Map.of(),
                given.containsKey("after") ? NOW.plusSeconds(Long.parseLong(given.get("after"))) : null,
                given.containsKey("before") ? NOW.plusSeconds(Long.parseLong(given.get("before"))) : null,
                null,
                null,
                given.containsKey("min") ? Duration.ofSeconds(Long.parseLong(given.get("min"))) : null,
                given.containsKey("reason") ? List.of(given.get("reason")) : List.of(),
                given.get("error"),
                given.get("id"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"submitted_at", "-submitted_at", "finished_at", "-finished_at"})
    void pagesHaveEveryTaskOnce(String sort) {
        // Many with the same time.
        for (int i = 0; i < 25; i++) {
            writer.write(failing("t" + i, NOW.minus(Duration.ofHours(i / 10 * 30)), "x"));
        }
        List<String> all = new ArrayList<>();
        String cursor = null;
        do {
            TaskHistory.Page page = history.list(filter(""), TaskFilter.Sort.parse(sort), 4, cursor);
            page.tasks().forEach(task -> all.add(task.get("task_id").asString()));
            assertThat(page.count()).isEqualTo(25);
            cursor = page.cursor();
        } while (cursor != null);

        assertThat(all).hasSize(25).doesNotHaveDuplicates();
        List<String> oldestFirst = IntStream.range(0, 25)
                .mapToObj(i -> "t" + i)
                .sorted(java.util.Comparator.comparing((String id) -> -(Integer.parseInt(id.substring(1)) / 10))
                        .thenComparing(id -> id))
                .toList();
        List<String> expected = new ArrayList<>(oldestFirst);
        if (sort.startsWith("-")) {
            Collections.reverse(expected);
        }
        assertThat(all).isEqualTo(expected);
    }

    @Test
    void figuresOverTime() {
        for (int i = 1; i <= 100; i++) {
            Task task = task("t" + i, NOW.minusSeconds(3_000));
            Instant assigned = NOW.minusSeconds(3_000).plusMillis(10L * i);
            writer.write(List.of(
                    TaskEvent.assigned(task, Priority.LOW, "a" + i % 2, assigned),
                    i % 10 == 0
                            ? TaskEvent.failed(
                                    "t" + i,
                                    1,
                                    "a" + i % 2,
                                    assigned,
                                    "failed",
                                    Json.tree("disk full"),
                                    null,
                                    assigned.plusSeconds(i))
                            : TaskEvent.completed(
                                    result("t" + i, 1, "a" + i % 2, "1", assigned), assigned.plusSeconds(i))));
        }
        writer.write(failing("before", NOW.minus(Duration.ofHours(2)), "x"));
        TaskFigures figures = new TaskFigures(database, LOOKUPS, CLOCK);

        TaskFigures.Report byType = figures.of(TaskFigures.Group.TASK_TYPE, Duration.ofHours(1), 10);

        assertThat(byType.groups())
                .extracting(TaskFigures.Figures::value, TaskFigures.Figures::count, TaskFigures.Figures::failed)
                .containsExactly(tuple("resize", 100L, 10L));
        TaskFigures.Figures figuresOfType = byType.groups().get(0);
        assertThat(figuresOfType.waiting().p50()).isCloseTo(0.5, ACCURATE);
        assertThat(figuresOfType.waiting().p95()).isCloseTo(0.95, ACCURATE);
        assertThat(figuresOfType.waiting().p99()).isCloseTo(0.99, ACCURATE);
        assertThat(figuresOfType.running().p50()).isCloseTo(50.0, ACCURATE);
        assertThat(figuresOfType.running().p99()).isCloseTo(99.0, ACCURATE);
        assertThat(byType.all().count()).isEqualTo(100);
        assertThat(byType.steps())
                .extracting(TaskFigures.Step::count)
                .satisfies(counts -> assertThat(
                                counts.stream().mapToLong(count -> count).sum())
                        .isEqualTo(100));
        assertThat(figures.of(TaskFigures.Group.AGENT_ID, Duration.ofHours(1), 10)
                        .groups())
                .extracting(TaskFigures.Figures::value, TaskFigures.Figures::count, TaskFigures.Figures::failed)
                .containsExactly(tuple("a0", 50L, 10L), tuple("a1", 50L, 0L));
        assertThat(figures.of(TaskFigures.Group.ERROR, Duration.ofHours(1), 10).groups())
                .extracting(TaskFigures.Figures::value, TaskFigures.Figures::count)
                .containsExactly(tuple("\"disk full\"", 10L));
        assertThat(figures.of(TaskFigures.Group.FAIRNESS_KEY, Duration.ofMinutes(1), 10)
                        .all())
                .isEqualTo(new TaskFigures.Figures(
                        null,
                        0,
                        0,
                        new TaskFigures.Percentiles(null, null, null),
                        new TaskFigures.Percentiles(null, null, null)));
    }

    /** Figures of whole days are stored: they say the same as the tasks. */
    @ParameterizedTest
    @EnumSource(TaskFigures.Group.class)
    void figuresOfDaysThatAreOverAreStored(TaskFigures.Group group) {
        for (int i = 0; i < 60; i++) {
            Instant at = NOW.minus(Duration.ofHours(3L * i)).minusSeconds(i);
            writer.write(i % 5 == 0 ? failing("t" + i, at, "error " + i % 3) : life("t" + i, at));
        }
        TaskFigures figures = new TaskFigures(database, LOOKUPS, CLOCK);
        TaskFigures.Report fromTasks = figures.of(group, Duration.ofDays(6), 10);
        assertThat(fromTasks.all().count()).isEqualTo(47);
        assertThat(fromTasks.groups()).isNotEmpty();

        writer.rollUpFigures();

        assertThat(number("SELECT count(DISTINCT day) FROM figure_days")).isEqualTo(30);
        TaskFigures.Report stored = figures.of(group, Duration.ofDays(6), 10);
        assertThat(stored.groups()).isEqualTo(fromTasks.groups());
        assertThat(stored.all()).isEqualTo(fromTasks.all());
        assertThat(stored.steps().stream().mapToLong(TaskFigures.Step::count).sum())
                .isEqualTo(stored.all().count());
    }

    @Test
    void anEventThatComesLateIsInTheFiguresOfItsDay() {
        Instant day = NOW.minus(Duration.ofDays(3));
        writer.write(life("t1", day));
        writer.rollUpFigures();
        TaskFigures figures = new TaskFigures(database, LOOKUPS, CLOCK);

        writer.write(failing("t2", day, "late"));

        assertThat(figures.of(TaskFigures.Group.TASK_TYPE, Duration.ofDays(6), 10)
                        .all()
                        .count())
                .isEqualTo(2);
        writer.rollUpFigures();
        assertThat(figures.of(TaskFigures.Group.ERROR, Duration.ofDays(6), 10).groups())
                .extracting(TaskFigures.Figures::value, TaskFigures.Figures::count)
                .containsExactly(tuple("\"late\"", 1L));
    }

    /** Stored counts are by the hour: steps are whole hours then, so that none has more of them than another. */
    @Test
    void stepsOfStoredDaysAreWholeHours() {
        for (int i = 1; i < 48; i++) {
            writer.write(failing("t" + i, NOW.minus(Duration.ofHours(i)), "x"));
        }
        writer.rollUpFigures();
        TaskFigures figures = new TaskFigures(database, LOOKUPS, CLOCK);

        assertThat(figures.of(TaskFigures.Group.TASK_TYPE, Duration.ofHours(48), 10)
                        .steps())
                .hasSize(49)
                .extracting(TaskFigures.Step::count)
                .containsExactlyElementsOf(IntStream.range(0, 49)
                        .mapToObj(i -> i == 0 || i == 48 ? 0L : 1L)
                        .toList());
    }

    /** A coordinator computes the figures of a day while another one writes a task that ended on it. */
    @Test
    void figuresAreNotStoredIfTasksAreWrittenMeanwhile() throws Exception {
        Instant day = NOW.minus(Duration.ofDays(1));
        writer.write(life("t1", day));
        rollUpWhileAnotherConnectionRuns("INSERT INTO figure_changes VALUES ('2026-11-19')");
        assertThat(number("SELECT count(*) FROM figure_days WHERE day = '2026-11-19'"))
                .isZero();

        writer.rollUpFigures();

        assertThat(number("SELECT count FROM figure_days WHERE day = '2026-11-19' AND kind = 'all'"))
                .isEqualTo(1);
    }

    /** Two coordinators compute the figures of a day at the same time. */
    @Test
    void figuresOfADayAreStoredOnce() throws Exception {
        writer.write(life("t1", NOW.minus(Duration.ofDays(1))));
        rollUpWhileAnotherConnectionRuns("SELECT roll_up_figures('2026-11-19')");

        assertThat(number("SELECT sum(count) FROM figure_days WHERE day = '2026-11-19' AND kind = 'all'"))
                .isEqualTo(1);
        assertThat(number("SELECT sum(count) FROM figure_hours WHERE day = '2026-11-19'"))
                .isEqualTo(1);
    }

    /** The other transaction ends once this one waits for it. */
    private static void rollUpWhileAnotherConnectionRuns(String statement) throws SQLException {
        try (Connection connection = DriverManager.getConnection("jdbc:" + postgres.url());
                Statement other = connection.createStatement()) {
            connection.setAutoCommit(false);
            other.execute(statement);
            CompletableFuture<Void> rolledUp = CompletableFuture.runAsync(writer::rollUpFigures);
            await().until(() -> number("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1);
            connection.commit();
            rolledUp.join();
        }
    }

    @Test
    void aDayIsStoredAQuarterOfAnHourAfterItsEnd() {
        Clock midnight = Clock.fixed(Instant.parse("2026-11-20T00:14:59Z"), ZoneOffset.UTC);
        new HistoryWriter(database, RETENTION, midnight).rollUpFigures();
        assertThat(number("SELECT count(*) FROM figure_days WHERE day = '2026-11-19'"))
                .isZero();
        assertThat(number("SELECT count(*) FROM figure_days WHERE day = '2026-11-18'"))
                .isEqualTo(1);
    }

    @Test
    void samplesAreTheMeansOfTheirSteps() {
        TaskFigures figures = new TaskFigures(database, LOOKUPS, CLOCK);
        for (int i = 0; i < 4; i++) {
            figures.add(new TaskFigures.Sample(NOW.minusSeconds(60 - 15L * i), 10 * i, i));
        }
        // Of another coordinator.
        figures.add(new TaskFigures.Sample(NOW.minusSeconds(60), 1_000, 1_000));

        List<TaskFigures.Step> steps =
                figures.of(TaskFigures.Group.TASK_TYPE, Duration.ofHours(1), 10).steps();

        assertThat(steps).hasSize(60);
        assertThat(steps.get(59)).isEqualTo(new TaskFigures.Step(NOW.minusSeconds(60), 0, 0, 15.0, 1.5));
    }

    private static long number(String sql) {
        return database.use(() -> database.client().sql(sql).query(Long.class).single());
    }

    @Test
    void aCountAboveTenThousandIsAnEstimate() {
        database.use(() -> database.client()
                .sql("SELECT add_history_day('2026-11-20')")
                .query((row, number) -> 1)
                .list());
        database.use(() -> database.client()
                .sql("INSERT INTO tasks (day, task_id, sequence, status, attempt, submitted_at)"
                        + " SELECT '2026-11-20', 'n' || n, 1, 'queued', 1, now() FROM generate_series(1, 12000) n")
                .update());
        database.use(() -> database.client().sql("ANALYZE tasks").update());

        TaskHistory.Page page = history.list(filter(""), TaskFilter.Sort.SUBMITTED, 1, null);

        assertThat(page.isExact()).isFalse();
        assertThat(page.count()).isBetween(11_000L, 13_000L);
    }

    /** What PostgreSQL cannot store is replaced, and what is long is cut: a text that cannot be written would stop the history. */
    @Test
    void noTextStopsTheHistory() {
        String type = new Random(3)
                .ints(4_000, '!', '~')
                .mapToObj(one -> one == '"' || one == '\\' ? "_" : String.valueOf((char) one))
                .collect(Collectors.joining());
        String surrogate = "\\ud800";
        String nul = "\\u0000";
        Task odd = Json.read(
                        "{\"task_data\":{\"task_type\":\"a" + nul + surrogate + type + "\",\"long\":\""
                                + "ä".repeat(20_000) + "\"},\"requirements\":{\"tags\":[\"" + "t".repeat(400) + "\""
                                + (",\"" + "ü".repeat(400) + "\"").repeat(60)
                                + "]},\"expires_at\":\"+1000000000-12-31T23:59:59Z\"}",
                        Task.class)
                .accepted("odd", Instant.parse("-1000000000-01-01T00:00:00Z"));
        writer.write(List.of(
                TaskEvent.assigned(odd, Priority.LOW, "a", Instant.MAX),
                TaskEvent.failed(
                        "odd",
                        1,
                        "a",
                        null,
                        "failed",
                        Json.read("{\"e\":\"" + nul + surrogate + "x".repeat(50_000) + "\"}", JsonNode.class),
                        null,
                        Instant.MIN)));

        ObjectNode found = history.find("odd").orElseThrow();
        assertThat(found.get("task_data_truncated").asBoolean()).isTrue();
        assertThat(found.get("task_data").asString()).startsWith("{\"task_type\":\"a");
        assertThat(found.get("task_data_bytes").asInt()).isGreaterThan(40_000);
        assertThat(found.get("error_truncated").asBoolean()).isTrue();
        assertThat(found.get("task_type").asString()).startsWith("a").hasSize(200);
        assertThat(found.at("/requirements/tags")).hasSize(61);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "x", "MjAyNi0xMS0yMA", "äö", "MjAyNi0xMS0yMFQwMDowMDowMFogYSBi"})
    void aCursorThatIsNoneIsRefused(String cursor) {
        assertThatThrownBy(() -> history.list(filter(""), TaskFilter.Sort.SUBMITTED, 10, cursor))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("cursor must be that of an earlier page");
    }

    @Test
    void withoutADatabaseASentenceSaysSo() {
        assertThatThrownBy(() -> new TaskHistory(null, LOOKUPS, CLOCK).find("x"))
                .isInstanceOf(TaskHistory.UnavailableException.class)
                .hasMessage("this cluster keeps no history of tasks: set AITBC_HISTORY_URL to a PostgreSQL database");
    }

    @ParameterizedTest
    @ValueSource(strings = {"mysql://host/db", "host:5432", "http://x"})
    void aUrlOfAnotherKindIsRefused(String url) {
        assertThatThrownBy(() -> new HistorySettings(url, "", "", RETENTION)).hasMessageContaining("postgresql://");
    }
}

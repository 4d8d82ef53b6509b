package io.aitbc.coordinator.history;

import io.aitbc.contracts.Ids;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskStatus;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.QueryTimeoutException;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Finds tasks in the history. Thread-safe. */
public final class TaskHistory {
    /** Up to this number, tasks are counted. */
    static final int MAX_EXACT_COUNT = 10_000;

    private static final String ROW =
            "task_id, status, attempt, agent_id, priority, task_type, fairness_key, fairness_weight, labels,"
                    + " submitted_at,"
                    + " assigned_at, finished_at, not_before, reason, left(error, 1000) AS error, length(error) AS error_length";

    private static final Duration SEARCH_TIMEOUT = Duration.ofSeconds(10);
    private static final Duration LOOKUP_TIMEOUT = Duration.ofSeconds(1);
    /** Pause after a failure, in which calls that can do without the history do not wait for it. */
    private static final Duration RETRY_INTERVAL = Duration.ofSeconds(5);

    private final @Nullable HistoryDatabase database;
    private final Lookups lookups;
    private final Clock clock;
    private volatile Instant unavailableUntil = Instant.MIN;

    /** @param database null if no history is kept */
    TaskHistory(@Nullable HistoryDatabase database, Lookups lookups, Clock clock) {
        this.database = database;
        this.lookups = lookups;
        this.clock = clock;
    }

    /** The history is off, or the database cannot be used: the message is a sentence. */
    public static final class UnavailableException extends RuntimeException {
        private final boolean isOff;

        UnavailableException(String message, boolean isOff, @Nullable Throwable cause) {
            super(message, cause);
            this.isOff = isOff;
        }

        /** Whether this cluster keeps no history. */
        public boolean isOff() {
            return isOff;
        }
    }

    /**
     * A page of tasks.
     *
     * @param tasks in the format of the REST API
     * @param cursor of the next page; null if this is the last one
     * @param count of all pages
     * @param isExact whether the count was counted; otherwise it is an estimate of the database
     */
    public record Page(List<ObjectNode> tasks, @Nullable String cursor, long count, boolean isExact) {}

    /** Where a page ends. */
    private record Cursor(OffsetDateTime time, String taskId) {
        /** @throws IllegalArgumentException if it is no cursor */
        static Cursor parse(String text) {
            try {
                String plain = new String(Base64.getUrlDecoder().decode(text), StandardCharsets.UTF_8);
                int space = plain.indexOf(' ');
                Instant time = Instant.parse(plain.substring(0, space));
                String id = plain.substring(space + 1);
                if (!id.matches(Ids.PATTERN)
                        || time.isBefore(TaskChanges.MIN_TIME)
                        || time.isAfter(TaskChanges.MAX_TIME)) {
                    throw new IllegalArgumentException(id);
                }
                return new Cursor(time.atOffset(ZoneOffset.UTC), id);
            } catch (RuntimeException e) {
                throw new IllegalArgumentException("cursor must be that of an earlier page", e);
            }
        }

        static String of(Instant time, String taskId) {
            return Base64.getUrlEncoder()
                    .withoutPadding()
                    .encodeToString((time + " " + taskId).getBytes(StandardCharsets.UTF_8));
        }
    }

    /** Whether there is a history. */
    public boolean isOn() {
        return database != null;
    }

    /**
     * Lists tasks.
     *
     * @param limit of the page
     * @param cursor of an earlier page with the same filter and order; null for the first one
     * @throws UnavailableException if there is no history, or it cannot be read
     * @throws IllegalArgumentException if the cursor is none
     */
    public Page list(TaskFilter filter, TaskFilter.Sort sort, int limit, @Nullable String cursor) {
        TaskFilter.Condition condition = filter.condition(sort);
        @Nullable Cursor from = cursor == null ? null : Cursor.parse(cursor);
        Map<String, Object> parameters = parameters(condition, limit, from);
        String behind = from == null ? "" : " AND " + sort.behind();
        String page = " ORDER BY " + sort.order() + " LIMIT :limit";
        return read(used -> {
            Found few = used.inTransaction(() -> few(used, condition, sort, behind + page, parameters));
            if (few.count <= MAX_EXACT_COUNT) {
                return page(few.tasks, sort, limit, few.count, true);
            }
            List<ObjectNode> tasks = used.client(SEARCH_TIMEOUT)
                    .sql("SELECT " + ROW + " FROM tasks WHERE " + condition.sql() + behind + page)
                    .params(parameters)
                    .query((row, number) -> row(row))
                    .list();
            return page(tasks, sort, limit, Math.max(estimate(used, condition), few.count), false);
        });
    }

    private static Map<String, Object> parameters(TaskFilter.Condition condition, int limit, @Nullable Cursor from) {
        Map<String, Object> parameters = new HashMap<>(condition.parameters());
        // One more shows whether there is a next page.
        parameters.put("limit", limit + 1);
        if (from != null) {
            parameters.put("cursor_time", from.time);
            parameters.put("cursor_id", from.taskId);
        }
        return parameters;
    }

    /** @param tasks of a page; none if more than {@value #MAX_EXACT_COUNT} were counted */
    private record Found(long count, List<ObjectNode> tasks) {}

    /**
     * Finds all that match, as long as these are few, counts and sorts them. The planner overestimates how many tasks have a rare label or word, and would
     * rather read all tasks in the wanted order until a page is full; without these scans, it uses the indexes of the conditions. Of the tasks that are only
     * counted, nothing but their place in the order is read.
     *
     * @param page the part of these that is wanted
     */
    private static Found few(
            HistoryDatabase used,
            TaskFilter.Condition condition,
            TaskFilter.Sort sort,
            String page,
            Map<String, Object> parameters) {
        for (String scan : List.of("enable_seqscan", "enable_indexscan", "enable_indexonlyscan")) {
            used.client().sql("SET LOCAL " + scan + " = off").update();
        }
        long[] count = new long[1];
        List<ObjectNode> tasks = new ArrayList<>();
        used.client(SEARCH_TIMEOUT)
                .sql("WITH found AS MATERIALIZED (SELECT day, task_id, " + sort.column() + " FROM tasks WHERE "
                        + condition.sql() + " LIMIT " + (MAX_EXACT_COUNT + 1)
                        + "), total AS (SELECT count(*) AS total FROM found),"
                        + " page AS (SELECT day AS page_day, task_id AS page_id FROM found WHERE (SELECT total FROM total) <= "
                        + MAX_EXACT_COUNT + page + ") SELECT total, " + ROW
                        + " FROM total LEFT JOIN (page JOIN tasks ON task_id = page_id AND day = page_day) ON true ORDER BY "
                        + sort.order())
                .params(parameters)
                .query(row -> {
                    count[0] = row.getLong("total");
                    if (row.getString("task_id") != null) {
                        tasks.add(row(row));
                    }
                });
        return new Found(count[0], tasks);
    }

    /** The number of tasks that match, exactly, unless counting takes too long. */
    public Page count(TaskFilter filter, int examples) {
        Page page = list(filter, TaskFilter.Sort.SUBMITTED, examples, null);
        if (page.isExact()) {
            return page;
        }
        TaskFilter.Condition condition = filter.condition(TaskFilter.Sort.SUBMITTED);
        try {
            long count = read(used -> used.client(SEARCH_TIMEOUT)
                    .sql("SELECT count(*) FROM tasks WHERE " + condition.sql())
                    .params(condition.parameters())
                    .query(Long.class)
                    .single());
            return new Page(page.tasks, page.cursor, count, true);
        } catch (UnavailableException e) {
            return page;
        }
    }

    private static long estimate(HistoryDatabase used, TaskFilter.Condition condition) {
        String plan = String.join(
                "",
                used.client(SEARCH_TIMEOUT)
                        .sql("EXPLAIN (FORMAT JSON) SELECT 1 FROM tasks WHERE " + condition.sql())
                        .params(condition.parameters())
                        .query(String.class)
                        .list());
        return Json.MAPPER.readTree(plan).at("/0/Plan/Plan Rows").asLong(0);
    }

    /** @param found one more than the limit, if there are more pages */
    private static Page page(List<ObjectNode> found, TaskFilter.Sort sort, int limit, long count, boolean isExact) {
        List<ObjectNode> tasks = new ArrayList<>(found.subList(0, Math.min(limit, found.size())));
        if (found.size() <= limit) {
            return new Page(tasks, null, count, isExact);
        }
        ObjectNode last = tasks.get(limit - 1);
        return new Page(
                tasks,
                Cursor.of(
                        Instant.parse(last.get(sort.column()).asString()),
                        last.get("task_id").asString()),
                count,
                isExact);
    }

    /**
     * What is kept of a task: its input, result and attempts. Empty if it is unknown here.
     *
     * @throws UnavailableException if there is no history, or it cannot be read
     */
    public Optional<ObjectNode> find(String taskId) {
        return find(taskId, SEARCH_TIMEOUT);
    }

    private Optional<ObjectNode> find(String taskId, Duration timeout) {
        return lookups.run(
                timeout.plusSeconds(1),
                () -> access(database, used -> {
                    List<ObjectNode> found = used.client(timeout)
                            .sql("SELECT " + ROW
                                    + ", agent_type, capabilities, requirements, max_attempts, timeout_seconds, uses, retry_of, task_data,"
                                    + " task_data_bytes, result, result_bytes, error AS full_error, day FROM tasks WHERE task_id = :id"
                                    + " ORDER BY day DESC LIMIT 1")
                            .param("id", taskId)
                            .query((row, number) -> detail(row))
                            .list();
                    if (found.isEmpty()) {
                        return Optional.empty();
                    }
                    ObjectNode task = found.get(0);
                    ArrayNode attempts = task.putArray("attempts");
                    // A second connection within the first query could be one too many.
                    used.client(timeout)
                            .sql(
                                    "SELECT attempt, agent_id, outcome, assigned_at, started_at, finished_at, error, not_before, progress_reports FROM attempts"
                                            + " WHERE task_id = :id AND day = :day ORDER BY attempt")
                            .param("id", taskId)
                            .param("day", LocalDate.parse(task.remove("day").asString()))
                            .query((one, number) -> attempt(one))
                            .list()
                            .forEach(attempts::add);
                    return Optional.of(task);
                }));
    }

    /** The next tasks that match, without their count, for someone who wants all. */
    public Page next(TaskFilter filter, TaskFilter.Sort sort, int limit, @Nullable String cursor) {
        TaskFilter.Condition condition = filter.condition(sort);
        @Nullable Cursor from = cursor == null ? null : Cursor.parse(cursor);
        Map<String, Object> parameters = parameters(condition, limit, from);
        return access(
                database,
                used -> page(
                        used.client()
                                .sql("SELECT " + ROW + " FROM tasks WHERE " + condition.sql()
                                        + (from == null ? "" : " AND " + sort.behind()) + " ORDER BY " + sort.order()
                                        + " LIMIT :limit")
                                .params(parameters)
                                .query((row, number) -> row(row))
                                .list(),
                        sort,
                        limit,
                        0,
                        false));
    }

    /** Like {@link #find}; empty if there is no history, or it cannot be read: after a few seconds the first time, and at once for five seconds after that. */
    public Optional<ObjectNode> findIfAvailable(String taskId) {
        if (database == null || clock.instant().isBefore(unavailableUntil)) {
            return Optional.empty();
        }
        try {
            return find(taskId, LOOKUP_TIMEOUT);
        } catch (UnavailableException e) {
            unavailableUntil = clock.instant().plus(RETRY_INTERVAL);
            return Optional.empty();
        }
    }

    /**
     * Has the coordinators read all events again that Kafka still has: what is missing is added, and what is there is kept.
     *
     * @throws UnavailableException if there is no history, or it cannot be written
     */
    public void rebuild() {
        read(used -> used.client()
                .sql("UPDATE history_generation SET id = (random() * 1e15)::bigint")
                .update());
    }

    private static ObjectNode row(ResultSet row) throws SQLException {
        ObjectNode task = Json.object();
        task.put("task_id", row.getString("task_id"));
        put("status", row.getString("status"), task);
        put("priority", row.getString("priority"), task);
        put("task_type", row.getString("task_type"), task);
        put("fairness_key", row.getString("fairness_key"), task);
        double weight = row.getDouble("fairness_weight");
        if (!row.wasNull()) {
            task.put("fairness_weight", BigDecimal.valueOf(weight));
        }
        labels(row, task);
        put("agent_id", row.getString("agent_id"), task);
        task.put("attempt", row.getInt("attempt"));
        putTime("submitted_at", row, task);
        putTime("assigned_at", row, task);
        putTime("finished_at", row, task);
        boolean hasEnded = row.getObject("finished_at") != null;
        if (!hasEnded) {
            putTime("not_before", row, task);
        }
        if (!hasEnded || task.get("status").asString().equals(TaskStatus.FAILED.wireName())) {
            // The error of an earlier attempt is not the outcome.
            put("reason", row.getString("reason"), task);
            putJson("error", row.getString("error"), row.getInt("error_length") > 1_000, task);
        }
        return task;
    }

    private static ObjectNode detail(ResultSet row) throws SQLException {
        ObjectNode task = row(row);
        if (task.has("error")) {
            String error = row.getString("full_error");
            putJson("error", error, isCut(error, TaskChanges.MAX_TEXT_BYTES), task);
        }
        String input = row.getString("task_data");
        int inputBytes = row.getInt("task_data_bytes");
        if (input != null) {
            boolean isCut = inputBytes > TaskChanges.MAX_TEXT_BYTES;
            putJson("task_data", input, isCut, task);
            if (isCut) {
                task.put("task_data_bytes", inputBytes);
            }
        }
        putJson("requirements", row.getString("requirements"), false, task);
        putJson("uses", row.getString("uses"), false, task);
        put("retry_of", row.getString("retry_of"), task);
        if (row.getObject("max_attempts") != null) {
            task.put("max_attempts", row.getInt("max_attempts"));
            task.put("timeout_seconds", row.getInt("timeout_seconds"));
        }
        int resultBytes = row.getInt("result_bytes");
        boolean isCut = resultBytes > TaskChanges.MAX_TEXT_BYTES;
        putJson("result", row.getString("result"), isCut, task);
        if (isCut) {
            task.put("result_bytes", resultBytes);
        }
        task.put("day", row.getString("day"));
        return task;
    }

    private static ObjectNode attempt(ResultSet row) throws SQLException {
        ObjectNode attempt = Json.object();
        attempt.put("attempt", row.getInt("attempt"));
        put("agent_id", row.getString("agent_id"), attempt);
        put("outcome", row.getString("outcome"), attempt);
        putTime("assigned_at", row, attempt);
        putTime("started_at", row, attempt);
        putTime("finished_at", row, attempt);
        String error = row.getString("error");
        if (error != null && !"completed".equals(row.getString("outcome"))) {
            putJson("error", error, isCut(error, TaskChanges.MAX_TEXT_BYTES), attempt);
        }
        putTime("not_before", row, attempt);
        int reports = row.getInt("progress_reports");
        if (reports > 0) {
            attempt.put("progress_reports", reports);
        }
        return attempt;
    }

    private static void labels(ResultSet row, ObjectNode task) throws SQLException {
        Array labels = row.getArray("labels");
        String[] texts = labels == null ? new String[0] : (String[]) labels.getArray();
        if (texts.length > 0) {
            ObjectNode object = task.putObject("labels");
            Arrays.stream(texts).sorted().forEach(label -> {
                int equals = label.indexOf('=');
                object.put(label.substring(0, equals), label.substring(equals + 1));
            });
        }
    }

    private static void put(String field, @Nullable String text, ObjectNode json) {
        if (text != null) {
            json.put(field, text);
        }
    }

    private static void putTime(String column, ResultSet row, ObjectNode json) throws SQLException {
        OffsetDateTime time = row.getObject(column, OffsetDateTime.class);
        if (time != null) {
            json.set(column, Json.tree(time.toInstant()));
        }
    }

    private static boolean isCut(@Nullable String json, int bytes) {
        return json != null && json.getBytes(StandardCharsets.UTF_8).length > bytes - 4;
    }

    /** @param isCut whether only the beginning is kept, which is given as a text, with {@code <field>_truncated} */
    private static void putJson(String field, @Nullable String json, boolean isCut, ObjectNode object) {
        if (json == null) {
            return;
        }
        if (!isCut) {
            object.set(field, Json.MAPPER.readTree(json));
            return;
        }
        object.put(field, json);
        object.put(field + "_truncated", true);
    }

    private <T> T read(Function<HistoryDatabase, T> query) {
        return lookups.run(SEARCH_TIMEOUT.plusSeconds(2), () -> access(database, query));
    }

    /** @throws UnavailableException if there is no database, or it cannot be used */
    static <T> T access(@Nullable HistoryDatabase database, Function<HistoryDatabase, T> work) {
        if (database == null) {
            throw new UnavailableException(
                    "this cluster keeps no history of tasks: set AITBC_HISTORY_URL to a PostgreSQL database",
                    true,
                    null);
        }
        try {
            return database.use(() -> work.apply(database));
        } catch (HistoryDatabase.HistoryUnavailableException e) {
            throw new UnavailableException(
                    e.getCause() instanceof QueryTimeoutException
                            ? "the search took longer than " + SEARCH_TIMEOUT.toSeconds()
                                    + " s: narrow it, such as by status, agent or time"
                            : "the history of tasks is not available: " + e.getMessage(),
                    false,
                    e.getCause());
        }
    }
}

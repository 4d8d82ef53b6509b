package io.aitbc.coordinator.history;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskEvent;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;

/**
 * Merges batches of events into the tables. Each batch is one transaction, and changes nothing if it was merged before, so batches may be repeated, and events
 * may come in any order. Thread-safe.
 */
final class HistoryWriter {
    /** How a column of a later event is merged with what is there. {@code t} is the row that is there, {@code n} the new one. */
    private enum Merge {
        /** The value of the latest event, even if it has none. */
        LATEST("CASE WHEN n.sequence >= t.sequence THEN n.# ELSE t.# END"),
        LATEST_AGENT(latest("agent_sequence")),
        LATEST_ERROR(latest("error_sequence")),
        LATEST_RESULT(latest("result_sequence")),
        /** The value of the latest event that has one: for two of them, in any order. */
        LATEST_KNOWN("CASE WHEN n.sequence >= t.sequence THEN coalesce(n.#, t.#) ELSE coalesce(t.#, n.#) END"),
        /** The task as it was submitted: that of the first event that carries it, as a whole. Another record may have its id. */
        SUBMITTED("CASE WHEN t.submitted_at IS NULL THEN n.# ELSE t.# END"),
        ALL("CASE WHEN n.# <@ t.# THEN t.# ELSE (SELECT array_agg(DISTINCT one) FROM unnest(t.# || n.#) one) END"),
        GREATEST("greatest(t.#, n.#)");

        private final String expression;

        Merge(String expression) {
            this.expression = expression;
        }

        private static String latest(String sequence) {
            return "CASE WHEN coalesce(n.@, -1) >= coalesce(t.@, -1) THEN n.# ELSE t.# END".replace("@", sequence);
        }

        String assignment(String column) {
            return column + " = " + expression.replace("#", column).replaceAll("\\bn\\.", "excluded.");
        }
    }

    private record Column(String name, String type, Merge merge) {
        String assignment() {
            return merge.assignment(name);
        }

        String selected() {
            return type.equals("text[]") ? "coalesce(" + name + ", '{}')" : name;
        }
    }

    private static final String TASKS = upsert("tasks", "task_id, day", """
            sequence integer GREATEST
            status text LATEST
            attempt integer LATEST
            agent_id text LATEST_AGENT
            agent_sequence integer GREATEST
            agents text[] ALL
            assigned_at timestamptz GREATEST
            finished_at timestamptz LATEST
            not_before timestamptz LATEST
            reason text LATEST_ERROR
            error text LATEST_ERROR
            error_text text LATEST_ERROR
            error_sequence integer GREATEST
            result text LATEST_RESULT
            result_bytes integer LATEST_RESULT
            result_sequence integer GREATEST
            priority text LATEST_KNOWN
            submitted_at timestamptz SUBMITTED
            task_type text SUBMITTED
            agent_type text SUBMITTED
            capabilities text[] SUBMITTED
            fairness_key text SUBMITTED
            fairness_weight float8 SUBMITTED
            labels text[] SUBMITTED
            requirements text SUBMITTED
            uses text SUBMITTED
            retry_of text SUBMITTED
            scheduled_at timestamptz SUBMITTED
            max_attempts integer SUBMITTED
            timeout_seconds integer SUBMITTED
            task_data text SUBMITTED
            task_data_bytes integer SUBMITTED
            """);
    private static final String ATTEMPTS = upsert("attempts", "task_id, day, attempt", """
            sequence integer GREATEST
            agent_id text LATEST
            outcome text LATEST_KNOWN
            assigned_at timestamptz LATEST_KNOWN
            started_at timestamptz LATEST_KNOWN
            finished_at timestamptz LATEST_KNOWN
            error text LATEST_KNOWN
            not_before timestamptz LATEST_KNOWN
            progress_reports integer LATEST_KNOWN
            """);

    private static final Duration ROLL_UP_DELAY = Duration.ofMinutes(15);
    /** A day with too many tasks for the time limit is not tried all the time. */
    private static final Duration ROLL_UP_RETRY_INTERVAL = Duration.ofHours(1);

    private final HistoryDatabase database;
    private final Duration retention;
    private final Clock clock;
    /** Days that have a partition. */
    private final Set<LocalDate> days = ConcurrentHashMap.newKeySet();
    /** Days whose figures could not be computed. Used by the thread that computes them only. */
    private final Map<LocalDate, Instant> rollUpAgain = new HashMap<>();

    HistoryWriter(HistoryDatabase database, Duration retention, Clock clock) {
        this.database = database;
        this.retention = retention;
        this.clock = clock;
    }

    private static String upsert(String table, String key, String columns) {
        List<Column> others = columns.lines()
                .map(line -> line.split(" "))
                .map(words -> new Column(words[0], words[1], Merge.valueOf(words[2])))
                .toList();
        String keyTypes = Arrays.stream(key.split(", "))
                .map(name -> name + (name.equals("day") ? " date" : name.equals("attempt") ? " integer" : " text"))
                .collect(Collectors.joining(", "));
        return "INSERT INTO " + table + " AS t (" + key + ", "
                + join(others.stream().map(Column::name))
                + ") SELECT " + key + ", " + join(others.stream().map(Column::selected))
                + " FROM json_to_recordset(:rows::json) AS n (" + keyTypes + ", "
                + join(others.stream().map(column -> column.name + " " + column.type))
                + ") ON CONFLICT (" + key + ") DO UPDATE SET "
                + join(others.stream().map(Column::assignment));
    }

    private static String join(Stream<String> parts) {
        return parts.collect(Collectors.joining(", "));
    }

    /** A row that is there. */
    private record Known(LocalDate day, @Nullable Instant submittedAt) {}

    /** @throws HistoryDatabase.HistoryUnavailableException if nothing was written */
    void write(List<TaskEvent> events) {
        Map<String, TaskChanges> changes = new HashMap<>(TaskChanges.of(events));
        if (changes.isEmpty()) {
            return;
        }
        try {
            Map<String, Known> known = known(changes);
            // Of an earlier task with the same id.
            changes.entrySet().removeIf(entry -> isBefore(entry.getValue(), known.get(entry.getKey())));
            Map<String, Known> replaced = new HashMap<>(known);
            replaced.entrySet().removeIf(entry -> !isAfter(changes.get(entry.getKey()), entry.getValue()));
            known.keySet().removeAll(replaced.keySet());
            Map<String, LocalDate> dayOf = new HashMap<>();
            changes.forEach((id, change) -> dayOf.put(id, day(change, known.get(id))));
            Set.copyOf(dayOf.values()).forEach(this::addDay);
            database.inTransaction(() -> merge(changes, dayOf, replaced));
        } catch (RuntimeException e) {
            // A day may have been dropped, or the database be another one.
            days.clear();
            throw e;
        }
    }

    private int merge(Map<String, TaskChanges> changes, Map<String, LocalDate> dayOf, Map<String, Known> replaced) {
        // Offsets are committed after it.
        database.client().sql("SET LOCAL synchronous_commit = on").update();
        deleteFigures(changes.values());
        for (String table : replaced.isEmpty() ? List.<String>of() : List.of("tasks", "attempts")) {
            database.client()
                    .sql("DELETE FROM " + table + " WHERE task_id = ANY(:ids) AND day = ANY(:days::date[])")
                    .param("ids", replaced.keySet().toArray(String[]::new))
                    .param(
                            "days",
                            replaced.values().stream()
                                    .map(known -> known.day.toString())
                                    .distinct()
                                    .toArray(String[]::new))
                    .update();
        }
        ArrayNode tasks = Json.MAPPER.createArrayNode();
        ArrayNode attempts = Json.MAPPER.createArrayNode();
        changes.forEach((id, change) -> {
            LocalDate day = Objects.requireNonNull(dayOf.get(id));
            tasks.add(change.task(day));
            change.attempts(day).forEach(attempts::add);
        });
        database.client().sql(TASKS).param("rows", Json.text(tasks)).update();
        if (!attempts.isEmpty()) {
            database.client().sql(ATTEMPTS).param("rows", Json.text(attempts)).update();
        }
        return changes.size();
    }

    /** Figures of days on which further tasks have ended: before these are written, see {@code roll_up_figures}. */
    private void deleteFigures(Collection<TaskChanges> changes) {
        LocalDate today = today();
        String[] ended = changes.stream()
                .map(TaskChanges::finishedAt)
                .filter(Objects::nonNull)
                .map(at -> LocalDate.ofInstant(at, ZoneOffset.UTC))
                .filter(day -> day.isBefore(today))
                .distinct()
                .map(LocalDate::toString)
                .toArray(String[]::new);
        if (ended.length == 0) {
            return;
        }
        database.client()
                .sql("INSERT INTO figure_changes SELECT unnest(:days::date[])")
                .param("days", ended)
                .update();
        for (String table : List.of("figure_days", "figure_hours")) {
            database.client()
                    .sql("DELETE FROM " + table + " WHERE day = ANY(:days::date[])")
                    .param("days", ended)
                    .update();
        }
    }

    /**
     * Computes the figures of the days that are over and have none, the latest first.
     *
     * @throws HistoryDatabase.HistoryUnavailableException if one cannot be computed; the others are
     */
    void rollUpFigures() {
        // Batches that were begun on a day may be committed after it, by clocks that differ a little.
        LocalDate last = LocalDate.ofInstant(clock.instant().minus(ROLL_UP_DELAY), ZoneOffset.UTC)
                .minusDays(1);
        List<LocalDate> missing = database.use(() -> database.client()
                .sql(
                        "SELECT one.day::date FROM generate_series(:oldest::timestamp, :last::timestamp, '1 day') AS one (day)"
                                + " WHERE NOT EXISTS (SELECT FROM figure_days WHERE figure_days.day = one.day::date) ORDER BY 1 DESC")
                .param("oldest", oldest(today()))
                .param("last", last)
                .query(LocalDate.class)
                .list());
        HistoryDatabase.HistoryUnavailableException failure = null;
        for (LocalDate day : missing) {
            if (clock.instant().isBefore(rollUpAgain.getOrDefault(day, Instant.MIN))) {
                continue;
            }
            try {
                database.inTransaction(() -> database.client()
                        .sql("SELECT roll_up_figures(:day)")
                        .param("day", day)
                        .query(Boolean.class)
                        .single());
            } catch (HistoryDatabase.HistoryUnavailableException e) {
                rollUpAgain.put(day, clock.instant().plus(ROLL_UP_RETRY_INTERVAL));
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** Ahead of time: a partition is created under a lock for which all searches and writes wait. */
    void addTomorrow() {
        addDay(today().plusDays(1));
    }

    private static boolean isBefore(TaskChanges change, @Nullable Known known) {
        return known != null
                && known.submittedAt != null
                && change.submittedAt() != null
                && change.submittedAt().isBefore(known.submittedAt);
    }

    /** An id that is used again is another task, perhaps another tenant's. */
    private static boolean isAfter(@Nullable TaskChanges change, Known known) {
        return change != null
                && known.submittedAt != null
                && change.submittedAt() != null
                && change.submittedAt().isAfter(known.submittedAt);
    }

    /** The rows of tasks that have one. */
    private Map<String, Known> known(Map<String, TaskChanges> changes) {
        LocalDate today = today();
        Map<String, Known> known = new HashMap<>(find(changes.keySet(), today.minusDays(1)));
        List<String> older = changes.entrySet().stream()
                .filter(entry -> !known.containsKey(entry.getKey())
                        && !isRecent(entry.getValue().submittedAt(), today))
                .map(Map.Entry::getKey)
                .toList();
        if (!older.isEmpty()) {
            known.putAll(find(older, LocalDate.EPOCH));
        }
        return known;
    }

    /** Where the task is already, or else the day of its first event. */
    private LocalDate day(TaskChanges change, @Nullable Known known) {
        LocalDate today = today();
        LocalDate oldest = oldest(today);
        LocalDate day = known == null ? change.firstDay() : known.day;
        return day.isBefore(oldest) ? oldest : day.isAfter(today) ? today : day;
    }

    /** A task that was submitted then has no events before. */
    private static boolean isRecent(@Nullable Instant submittedAt, LocalDate today) {
        return submittedAt != null
                && !LocalDate.ofInstant(submittedAt, ZoneOffset.UTC).isBefore(today.minusDays(1));
    }

    private Map<String, Known> find(Collection<String> ids, LocalDate from) {
        Map<String, Known> found = new HashMap<>();
        database.use(() -> {
            database.client()
                    .sql(
                            "SELECT DISTINCT ON (task_id) task_id, day, submitted_at FROM tasks WHERE task_id = ANY(:ids) AND day >= :from"
                                    + " ORDER BY task_id, day DESC")
                    .param("ids", ids.toArray(String[]::new))
                    .param("from", from)
                    .query(row -> {
                        OffsetDateTime submitted = row.getObject("submitted_at", OffsetDateTime.class);
                        found.put(
                                row.getString("task_id"),
                                new Known(
                                        row.getObject("day", LocalDate.class),
                                        submitted == null ? null : submitted.toInstant()));
                    });
            return found;
        });
        return found;
    }

    /** In a transaction of its own: creating a partition waits for all that use its table. */
    private void addDay(LocalDate day) {
        if (!days.contains(day)) {
            database.inTransaction(() -> {
                database.client().sql("SET LOCAL lock_timeout = '5s'").update();
                return database.client()
                        .sql("SELECT add_history_day(:day)")
                        .param("day", day)
                        .query((row, number) -> day)
                        .single();
            });
            days.add(day);
        }
    }

    /**
     * A number that changes when all events are to be read again.
     *
     * @throws HistoryDatabase.HistoryUnavailableException if the database does not answer
     */
    long generation() {
        database.migrate();
        return database.use(() -> database.client()
                .sql("SELECT id FROM history_generation")
                .query(Long.class)
                .single());
    }

    /** Whether the tables are there. */
    boolean isReady() {
        return database.isMigrated();
    }

    /** Drops what is older than the retention. */
    int dropOldDays() {
        LocalDate oldest = oldest(today());
        days.removeIf(day -> day.isBefore(oldest));
        database.inTransaction(() -> database.client()
                .sql("DELETE FROM samples WHERE at < :before")
                .param("before", oldest.atStartOfDay().atOffset(ZoneOffset.UTC))
                .update());
        for (String table : List.of("figure_days", "figure_hours", "figure_changes")) {
            database.inTransaction(() -> database.client()
                    .sql("DELETE FROM " + table + " WHERE day < :before")
                    .param("before", oldest)
                    .update());
        }
        database.inTransaction(() -> database.client()
                .sql("DELETE FROM bulk_operations WHERE state <> 'running' AND updated_at < :before")
                .param("before", oldest.atStartOfDay().atOffset(ZoneOffset.UTC))
                .update());
        return database.inTransaction(() -> database.client()
                .sql("SELECT drop_history_days(:before)")
                .param("before", oldest)
                .query(Integer.class)
                .single());
    }

    private LocalDate oldest(LocalDate today) {
        return today.minusDays(retention.toDays());
    }

    private LocalDate today() {
        return LocalDate.ofInstant(clock.instant(), ZoneOffset.UTC);
    }
}

package io.aitbc.coordinator.history;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;

/** Figures over time of tasks that have ended. Thread-safe. */
public final class TaskFigures {
    private static final int STEPS = 60;
    private static final Duration TIMEOUT = Duration.ofSeconds(10);
    /** How long a task waited for its last attempt; a scheduled one from its earliest time. */
    private static final String WAITING = "extract(epoch FROM assigned_at - greatest(submitted_at, scheduled_at))";

    /** Of tasks that an agent ended: others may have waited after an attempt that failed. */
    private static final String RUNNING =
            "CASE WHEN status IN ('completed', 'failed') THEN extract(epoch FROM finished_at - assigned_at) END";

    private static final String ENDED = " FROM tasks WHERE finished_at >= :from AND finished_at < :to";

    private final @Nullable HistoryDatabase database;
    private final Lookups lookups;
    private final Clock clock;

    /** @param database null if no history is kept */
    TaskFigures(@Nullable HistoryDatabase database, Lookups lookups, Clock clock) {
        this.database = database;
        this.lookups = lookups;
        this.clock = clock;
    }

    /** By what tasks are grouped. */
    public enum Group {
        TASK_TYPE("task_type"),
        AGENT_ID("agent_id"),
        FAIRNESS_KEY("fairness_key"),
        /** The beginning of the error, of failed tasks only. */
        ERROR("left(error, 200)");

        private final String column;

        Group(String column) {
            this.column = column;
        }

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** @throws IllegalArgumentException naming the choices */
        public static Group parse(String text) {
            return Arrays.stream(values())
                    .filter(group -> group.wireName().equals(text))
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException(
                            "group_by must be task_type, agent_id, fairness_key or error"));
        }
    }

    /** In seconds; null if no task has such a time. */
    public record Percentiles(
            @Nullable Double p50,
            @Nullable Double p95,
            @Nullable Double p99) {}

    /**
     * @param value of the group; null for tasks that have none
     * @param count of tasks that ended
     * @param failed of these
     * @param waiting from submission to the last assignment
     * @param running from the last assignment to the end
     */
    public record Figures(@Nullable String value, long count, long failed, Percentiles waiting, Percentiles running) {}

    /** Tasks that ended in a step, from its time on. */
    public record Step(Instant at, long count, long failed) {}

    /** @param groups those with the most tasks, or for errors, the most failures */
    public record Report(Instant from, Instant to, List<Figures> groups, Figures all, List<Step> steps) {}

    /**
     * Of the tasks that ended in the time before now.
     *
     * @throws TaskHistory.UnavailableException if there is no history, or it cannot be read in time
     */
    public Report of(Group group, Duration last, int limit) {
        Instant to = clock.instant();
        Instant from = to.minus(last);
        return lookups.run(
                TIMEOUT.multipliedBy(2),
                () -> TaskHistory.access(database, used -> report(used, group, from, to, limit)));
    }

    private static Report report(HistoryDatabase used, Group group, Instant from, Instant to, int limit) {
        return new Report(
                from,
                to,
                query(
                                used,
                                "SELECT " + group.column + " AS value, " + figures() + ENDED
                                        + (group == Group.ERROR ? " AND status = 'failed'" : "")
                                        + " GROUP BY 1 ORDER BY count DESC, value LIMIT :limit",
                                from,
                                to)
                        .param("limit", limit)
                        .query((row, number) -> figures(row))
                        .list(),
                query(used, "SELECT NULL AS value, " + figures() + ENDED, from, to)
                        .query((row, number) -> figures(row))
                        .single(),
                query(
                                used,
                                "SELECT date_bin(:step * interval '1 ms', finished_at, :from) AS at, count(*) AS count,"
                                        + " count(*) FILTER (WHERE status = 'failed') AS failed" + ENDED
                                        + " GROUP BY 1 ORDER BY 1",
                                from,
                                to)
                        .param("step", Duration.between(from, to).toMillis() / STEPS)
                        .query((row, number) -> new Step(
                                row.getObject("at", OffsetDateTime.class).toInstant(),
                                row.getLong("count"),
                                row.getLong("failed")))
                        .list());
    }

    private static String figures() {
        return "count(*) AS count, count(*) FILTER (WHERE status = 'failed') AS failed, " + percentiles(WAITING)
                + " AS waiting, " + percentiles(RUNNING) + " AS running";
    }

    private static String percentiles(String seconds) {
        return "percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY " + seconds + ")";
    }

    private static JdbcClient.StatementSpec query(HistoryDatabase used, String sql, Instant from, Instant to) {
        return used.client(TIMEOUT)
                .sql(sql)
                .param("from", from.atOffset(ZoneOffset.UTC))
                .param("to", to.atOffset(ZoneOffset.UTC));
    }

    private static Figures figures(ResultSet row) throws SQLException {
        return new Figures(
                row.getString("value"),
                row.getLong("count"),
                row.getLong("failed"),
                percentiles(row, "waiting"),
                percentiles(row, "running"));
    }

    private static Percentiles percentiles(ResultSet row, String column) throws SQLException {
        java.sql.Array array = row.getArray(column);
        Number[] values = array == null ? new Number[3] : (Number[]) array.getArray();
        return new Percentiles(seconds(values[0]), seconds(values[1]), seconds(values[2]));
    }

    /** To the millisecond. Clocks of coordinators differ. */
    private static @Nullable Double seconds(@Nullable Number value) {
        return value == null ? null : Math.max(0, Math.round(value.doubleValue() * 1_000) / 1_000.0);
    }
}

package io.aitbc.coordinator.history;

import java.math.BigDecimal;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;

/** Figures over time of tasks that have ended. Thread-safe. */
public final class TaskFigures {
    private static final int STEPS = 60;
    private static final Duration TIMEOUT = Duration.ofSeconds(10);
    private static final String STEP = "date_bin(:step * interval '1 ms', %s, :first) AS at, ";
    /** Tasks that ended, of the days that have figures. */
    private static final String ENDED_ON_DAYS = "SELECT " + STEP.formatted("hour")
            + "sum(count) AS count, sum(failed) AS failed FROM figure_hours WHERE day = ANY(:days::date[]) GROUP BY 1";

    private static final String ENDED_IN_SPAN = "SELECT " + STEP.formatted("finished_at")
            + "count(*) AS count, count(*) FILTER (WHERE status = 'failed') AS failed"
            + " FROM tasks WHERE finished_at >= :start AND finished_at < :end GROUP BY 1";
    private static final String SAMPLED = "SELECT " + STEP.formatted("samples.at")
            + "avg(waiting) AS waiting, avg(running) AS running"
            + " FROM samples WHERE samples.at >= :from AND samples.at < :to GROUP BY 1";
    /** Values of a group that are read of spans without figures. */
    private static final int MAX_VALUES = 10_000;

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
        TASK_TYPE,
        AGENT_ID,
        FAIRNESS_KEY,
        /** The beginning of the error, of failed tasks only. */
        ERROR;

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

    /** In seconds, within 3 %; null if no task has such a time. */
    public record Percentiles(
            @Nullable Double p50,
            @Nullable Double p95,
            @Nullable Double p99) {}

    /**
     * @param value of the group; null for tasks that have none
     * @param count of tasks that ended
     * @param failed of these
     * @param waiting from submission to assignment, of tasks with one attempt
     * @param running from the last assignment to the end
     */
    public record Figures(@Nullable String value, long count, long failed, Percentiles waiting, Percentiles running) {}

    /**
     * A step of the time.
     *
     * @param at its beginning
     * @param count of tasks that ended in it
     * @param failed of these
     * @param waiting number of waiting tasks, the mean of its samples; null if there are none
     * @param running number of tasks that agents had, likewise
     */
    public record Step(
            Instant at,
            long count,
            long failed,
            @Nullable Double waiting,
            @Nullable Double running) {
        private Step plus(Step other) {
            return new Step(
                    at,
                    count + other.count,
                    failed + other.failed,
                    waiting == null ? other.waiting : waiting,
                    running == null ? other.running : running);
        }
    }

    /**
     * The cluster at a moment.
     *
     * @param waiting number of waiting tasks
     * @param running number of tasks that agents have
     */
    public record Sample(Instant at, long waiting, long running) {}

    /** @param groups those with the most tasks, or for errors, the most failures */
    public record Report(Instant from, Instant to, List<Figures> groups, Figures all, List<Step> steps) {}

    /**
     * Of the tasks that ended in the time before now.
     *
     * @throws TaskHistory.UnavailableException if there is no history, or it cannot be read in time
     */
    public Report of(Group group, Duration last, int limit) {
        // The database has microseconds, and steps have milliseconds.
        Instant to = clock.instant().truncatedTo(ChronoUnit.MILLIS);
        Instant from = to.minus(last);
        return lookups.run(
                TIMEOUT.plusSeconds(2),
                () -> TaskHistory.access(
                        database, used -> used.inSnapshot(() -> report(used, group, from, to, limit))));
    }

    /** Whether there is a history. */
    public boolean isOn() {
        return database != null;
    }

    /**
     * Keeps a sample, unless another coordinator has kept one of the same time.
     *
     * @throws TaskHistory.UnavailableException if there is no history, or it cannot be written
     */
    public void add(Sample sample) {
        TaskHistory.access(
                database,
                used -> used.client(TIMEOUT)
                        .sql("INSERT INTO samples VALUES (:at, :waiting, :running) ON CONFLICT DO NOTHING")
                        .param("at", sample.at().atOffset(ZoneOffset.UTC))
                        .param("waiting", sample.waiting())
                        .param("running", sample.running())
                        .update());
    }

    private static Report report(HistoryDatabase used, Group group, Instant from, Instant to, int limit) {
        Spans spans = spans(used, from, to);
        return new Report(
                from,
                to,
                groups(used, group.wireName(), spans, limit),
                groups(used, "all", spans, 1).stream().findFirst().orElseGet(() -> new Counts(null).figures()),
                steps(used, spans, from, to));
    }

    /**
     * What a time consists of.
     *
     * @param days that have figures
     * @param rest spans that have none: at its ends, and days that are not over, or whose figures were deleted
     */
    private record Spans(List<LocalDate> days, List<Span> rest) {
        String[] dayTexts() {
            return days.stream().map(LocalDate::toString).toArray(String[]::new);
        }
    }

    private record Span(Instant from, Instant to) {}

    private static Spans spans(HistoryDatabase used, Instant from, Instant to) {
        List<LocalDate> days = used.client(TIMEOUT)
                .sql("SELECT day FROM figure_days WHERE kind = 'all' AND day >= :first AND day < :last ORDER BY day")
                // The first day, unless it began before; the last one is not over.
                .param(
                        "first",
                        LocalDate.ofInstant(from.minusNanos(1), ZoneOffset.UTC).plusDays(1))
                .param("last", LocalDate.ofInstant(to, ZoneOffset.UTC))
                .query(LocalDate.class)
                .list();
        List<Span> rest = new ArrayList<>();
        Instant begin = from;
        for (LocalDate day : days) {
            Instant midnight = day.atStartOfDay(ZoneOffset.UTC).toInstant();
            if (begin.isBefore(midnight)) {
                rest.add(new Span(begin, midnight));
            }
            begin = day.plusDays(1).atStartOfDay(ZoneOffset.UTC).toInstant();
        }
        if (begin.isBefore(to)) {
            rest.add(new Span(begin, to));
        }
        return new Spans(days, rest);
    }

    /** Figures of a group while they are added up. */
    private static final class Counts {
        private final @Nullable String value;
        private final DurationHistogram waiting = new DurationHistogram();
        private final DurationHistogram running = new DurationHistogram();
        private long count;
        private long failed;

        Counts(@Nullable String value) {
            this.value = value;
        }

        void addTimes(ResultSet row) throws SQLException {
            waiting.add(numbers(row, "waiting_buckets"), numbers(row, "waiting_counts"));
            running.add(numbers(row, "running_buckets"), numbers(row, "running_counts"));
        }

        void addCounts(ResultSet row) throws SQLException {
            count += row.getLong("count");
            failed += row.getLong("failed");
        }

        private static Number[] numbers(ResultSet row, String column) throws SQLException {
            return (Number[]) row.getArray(column).getArray();
        }

        Figures figures() {
            return new Figures(value, count, failed, percentiles(waiting), percentiles(running));
        }

        private static Percentiles percentiles(DurationHistogram times) {
            return new Percentiles(times.percentile(0.5), times.percentile(0.95), times.percentile(0.99));
        }
    }

    private static List<Figures> groups(HistoryDatabase used, String kind, Spans spans, int limit) {
        // A map with a key null, of tasks that have no value.
        Map<@Nullable String, Counts> groups = new HashMap<>();
        used.client(TIMEOUT)
                .sql("SELECT value, sum(count) AS count, sum(failed) AS failed FROM figure_days"
                        + " WHERE kind = :kind AND day = ANY(:days::date[]) GROUP BY value")
                .param("kind", kind)
                .param("days", spans.dayTexts())
                .query(row -> {
                    groups.computeIfAbsent(row.getString("value"), Counts::new).addCounts(row);
                });
        for (Span span : spans.rest) {
            used.client(TIMEOUT)
                    .sql("SELECT * FROM figures_of(:kind, :start, :end, :most)")
                    .param("kind", kind)
                    .param("start", span.from.atOffset(ZoneOffset.UTC))
                    .param("end", span.to.atOffset(ZoneOffset.UTC))
                    .param("most", MAX_VALUES)
                    .query(row -> {
                        Counts counts = groups.computeIfAbsent(row.getString("value"), Counts::new);
                        counts.addCounts(row);
                        counts.addTimes(row);
                    });
        }
        List<Counts> most = groups.values().stream()
                .filter(counts -> counts.count > 0)
                .sorted(Comparator.<Counts>comparingLong(counts -> -counts.count)
                        .thenComparing(counts -> counts.value, Comparator.nullsLast(Comparator.naturalOrder())))
                .limit(limit)
                .toList();
        // Only of these: of others, the times are many and unused.
        used.client(TIMEOUT)
                .sql(
                        "SELECT value, waiting_buckets, waiting_counts, running_buckets, running_counts FROM figure_days"
                                + " WHERE kind = :kind AND day = ANY(:days::date[]) AND (value = ANY(:values) OR value IS NULL)")
                .param("kind", kind)
                .param("days", spans.dayTexts())
                .param(
                        "values",
                        most.stream()
                                .map(counts -> counts.value)
                                .filter(Objects::nonNull)
                                .toArray(String[]::new))
                .query(row -> {
                    Counts counts = groups.get(row.getString("value"));
                    if (counts != null) {
                        counts.addTimes(row);
                    }
                });
        return most.stream().map(Counts::figures).toList();
    }

    private static List<Step> steps(HistoryDatabase used, Spans spans, Instant from, Instant to) {
        Duration step = Duration.between(from, to).dividedBy(STEPS);
        Instant first = from;
        if (!spans.days.isEmpty()) {
            // Their counts are by the hour.
            step = Duration.ofHours((long) Math.ceil(step.toMinutes() / 60.0));
            first = from.truncatedTo(ChronoUnit.HOURS);
        }
        Map<Instant, Step> steps = new TreeMap<>();
        for (Instant at = first; at.isBefore(to); at = at.plus(step)) {
            steps.put(at.truncatedTo(ChronoUnit.MILLIS), new Step(at.truncatedTo(ChronoUnit.MILLIS), 0, 0, null, null));
        }
        OffsetDateTime origin = first.truncatedTo(ChronoUnit.MILLIS).atOffset(ZoneOffset.UTC);
        long stepMs = step.toMillis();
        Function<String, JdbcClient.StatementSpec> query =
                sql -> used.client(TIMEOUT).sql(sql).param("first", origin).param("step", stepMs);
        query.apply(ENDED_ON_DAYS).param("days", spans.dayTexts()).query(row -> {
            addEnded(row, steps);
        });
        for (Span span : spans.rest) {
            query.apply(ENDED_IN_SPAN)
                    .param("start", span.from.atOffset(ZoneOffset.UTC))
                    .param("end", span.to.atOffset(ZoneOffset.UTC))
                    .query(row -> {
                        addEnded(row, steps);
                    });
        }
        query.apply(SAMPLED)
                .param("from", from.atOffset(ZoneOffset.UTC))
                .param("to", to.atOffset(ZoneOffset.UTC))
                .query(row -> {
                    steps.merge(
                            at(row), new Step(at(row), 0, 0, mean(row, "waiting"), mean(row, "running")), Step::plus);
                });
        return List.copyOf(steps.values());
    }

    private static void addEnded(ResultSet row, Map<Instant, Step> steps) throws SQLException {
        steps.merge(at(row), new Step(at(row), row.getLong("count"), row.getLong("failed"), null, null), Step::plus);
    }

    private static Instant at(ResultSet row) throws SQLException {
        return row.getObject("at", OffsetDateTime.class).toInstant();
    }

    private static @Nullable Double mean(ResultSet row, String column) throws SQLException {
        @Nullable BigDecimal mean = row.getBigDecimal(column);
        return mean == null ? null : Math.round(mean.doubleValue() * 10) / 10.0;
    }
}

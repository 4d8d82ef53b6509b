package io.aitbc.coordinator.history;

import io.aitbc.contracts.Json;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.DeserializationFeature;

/**
 * The bulk operations, in the database: one coordinator works on each, and another continues if that dies. Thread-safe.
 */
public final class BulkOperations {
    private static final Duration LEASE = Duration.ofMinutes(2);
    /** How long an operation that fails is left alone. */
    private static final Duration BACKOFF = Duration.ofSeconds(10);

    private static final int MAX_ERROR = 500;

    private final @Nullable HistoryDatabase database;
    private final Clock clock;

    /** @param database null if no history is kept */
    BulkOperations(@Nullable HistoryDatabase database, Clock clock) {
        this.database = database;
        this.clock = clock;
    }

    /** What is done to each task. */
    public enum Kind {
        CANCEL,
        REDRIVE;

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * An operation and its progress.
     *
     * @param asked the filter as it was asked for
     * @param filter the one that is used: bounded by the time at which the operation began
     * @param rate at most, in tasks per second
     * @param state waiting, running, done or stopped
     * @param total tasks that matched when it began; null before
     * @param done tasks that were cancelled or redriven
     * @param skipped tasks that had ended, or were not failed, when their turn came
     * @param cursor of the history, up to which all is done; null before the first page
     * @param error why it does not proceed at present; null if it does
     */
    public record Operation(
            String id,
            Kind kind,
            TaskFilter asked,
            TaskFilter filter,
            int rate,
            String caller,
            String state,
            @Nullable Long total,
            long done,
            long skipped,
            @Nullable String cursor,
            @Nullable String error,
            Instant createdAt,
            Instant updatedAt) {}

    /** Whether there is a history, and its tables have been created. */
    public boolean isReady() {
        return database != null && database.isMigrated();
    }

    /** Whether there is a database. */
    public boolean isOn() {
        return database != null;
    }

    /**
     * Begins an operation, or finds the one with this id.
     *
     * @throws TaskHistory.UnavailableException if there is no history, or it cannot be written
     */
    public Operation begin(String id, Kind kind, TaskFilter asked, TaskFilter filter, int rate, String caller) {
        return TaskHistory.access(database, used -> {
            OffsetDateTime now = now();
            used.client()
                    .sql(
                            "INSERT INTO bulk_operations (id, kind, asked, filter, rate, caller, created_at, updated_at)"
                                    + " VALUES (:id, :kind, :asked, :filter, :rate, :caller, :now, :now) ON CONFLICT (id) DO NOTHING")
                    .param("id", id)
                    .param("kind", kind.name())
                    .param("asked", Json.text(asked))
                    .param("filter", Json.text(filter))
                    .param("rate", rate)
                    .param("caller", caller)
                    .param("now", now)
                    .update();
            return find(used, id).orElseThrow();
        });
    }

    /** @throws TaskHistory.UnavailableException if there is no history, or it cannot be read */
    public Optional<Operation> find(String id) {
        return TaskHistory.access(database, used -> find(used, id));
    }

    private static Optional<Operation> find(HistoryDatabase used, String id) {
        return used.client()
                .sql("SELECT * FROM bulk_operations WHERE id = :id")
                .param("id", id)
                .query((row, number) -> operation(row))
                .optional();
    }

    /** Takes an operation on which no coordinator works, or on which this one does already. */
    public Optional<Operation> acquire(String owner) {
        return TaskHistory.access(
                database,
                used -> used.client()
                        .sql(
                                "UPDATE bulk_operations SET owner = :owner, lease_until = :until WHERE id = (SELECT id FROM bulk_operations"
                                        + " WHERE state = 'running' AND (owner = :owner OR lease_until IS NULL OR lease_until < :now)"
                                        + " ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *")
                        .param("owner", owner)
                        .param("now", now())
                        .param("until", now().plus(LEASE))
                        .query((row, number) -> operation(row))
                        .optional());
    }

    /**
     * Records progress and renews the lease.
     *
     * @param total null to keep it
     * @param cursor null to keep it
     * @return false if another coordinator has taken over, or the operation was stopped
     */
    public boolean progress(
            String id, String owner, @Nullable Long total, long done, long skipped, @Nullable String cursor) {
        return update(
                id,
                owner,
                "total = coalesce(:total, total), done = done + :done, skipped = skipped + :skipped, cursor = coalesce(:cursor, cursor), error = NULL",
                total,
                done,
                skipped,
                cursor);
    }

    /** Why the operation does not proceed. After a pause, it is continued by whichever coordinator comes first. */
    public void failing(String id, String owner, String error) {
        TaskHistory.access(
                database,
                used -> used.client()
                        .sql(
                                "UPDATE bulk_operations SET error = :error, owner = NULL, updated_at = :now, lease_until = :until"
                                        + " WHERE id = :id AND owner = :owner AND state = 'running'")
                        .param("id", id)
                        .param("owner", owner)
                        .param("error", error.substring(0, Math.min(MAX_ERROR, error.length())))
                        .param("now", now())
                        .param("until", now().plus(BACKOFF))
                        .update());
    }

    /** Ends an operation before it is done; one that has ended stays as it is. Empty if there is none with this id. */
    public Optional<Operation> stop(String id) {
        return TaskHistory.access(database, used -> {
            used.client()
                    .sql(
                            "UPDATE bulk_operations SET state = 'stopped', updated_at = :now WHERE id = :id AND state = 'running'")
                    .param("id", id)
                    .param("now", now())
                    .update();
            return find(used, id);
        });
    }

    /** The operation has ended. */
    public void end(String id, String owner) {
        update(id, owner, "state = 'done', error = NULL", null, 0, 0, null);
    }

    private boolean update(
            String id,
            String owner,
            String assignments,
            @Nullable Long total,
            long done,
            long skipped,
            @Nullable String cursor) {
        return TaskHistory.access(
                        database,
                        used -> used.client()
                                .sql("UPDATE bulk_operations SET " + assignments
                                        + ", updated_at = :now, lease_until = :until WHERE id = :id AND owner = :owner")
                                .param("id", id)
                                .param("owner", owner)
                                .param("total", total)
                                .param("done", done)
                                .param("skipped", skipped)
                                .param("cursor", cursor)
                                .param("now", now())
                                .param("until", now().plus(LEASE))
                                .update())
                == 1;
    }

    private static Operation operation(ResultSet row) throws SQLException {
        return new Operation(
                row.getString("id"),
                Kind.valueOf(row.getString("kind")),
                filter(row.getString("asked") == null ? row.getString("filter") : row.getString("asked")),
                filter(row.getString("filter")),
                row.getInt("rate"),
                row.getString("caller"),
                row.getString("state").equals("running") && row.getString("owner") == null
                        ? "waiting"
                        : row.getString("state"),
                row.getObject("total", Long.class),
                row.getLong("done"),
                row.getLong("skipped"),
                row.getString("cursor"),
                row.getString("error"),
                row.getObject("created_at", OffsetDateTime.class).toInstant(),
                row.getObject("updated_at", OffsetDateTime.class).toInstant());
    }

    /** A condition that only a later version knows must not be ignored: all tasks would meet it. */
    private static TaskFilter filter(String json) {
        return Json.MAPPER
                .readerFor(TaskFilter.class)
                .with(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .readValue(json);
    }

    private OffsetDateTime now() {
        return clock.instant().atOffset(ZoneOffset.UTC);
    }
}

package io.aitbc.coordinator.taskstate;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Position;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The state of a task in Redis: text fields, some of them numbers, times or JSON. Fields that its status requires are present, see {@link
 * #essential}.
 *
 * @param fields by name, those of {@link #FORMATS} in that order
 */
public record TaskState(TaskStatus status, Map<String, String> fields) {
    /** Format of a field, see {@link TaskState#format}. */
    public enum Format {
        TEXT(text -> {}),
        NUMBER(Integer::parseInt),
        TIME(Instant::parse),
        PRIORITY(Priority::parse),
        REQUIREMENTS(text -> Json.read(text, Requirements.class)),
        JSON(text -> {
            if (!text.isEmpty()) {
                Json.MAPPER.readTree(text);
            }
        }),
        /** Used only by the scripts. */
        INTERNAL(text -> {});

        private final Consumer<String> parser;

        Format(Consumer<String> parser) {
            this.parser = parser;
        }

        private boolean parses(String value) {
            try {
                parser.accept(value);
                return true;
            } catch (RuntimeException e) {
                return false;
            }
        }
    }

    private static final Map<String, Format> FORMATS = formats();

    private static Map<String, Format> formats() {
        Map<String, Format> formats = new LinkedHashMap<>();
        formats.put("task_id", Format.TEXT);
        formats.put("status", Format.TEXT);
        formats.put("priority", Format.PRIORITY);
        formats.put("attempt", Format.NUMBER);
        formats.put("max_attempts", Format.NUMBER);
        formats.put("timeout_seconds", Format.NUMBER);
        formats.put("agent_id", Format.TEXT);
        formats.put("fairness_key", Format.TEXT);
        formats.put("submitted_at", Format.TIME);
        formats.put("not_before", Format.TIME);
        formats.put("expires_at", Format.TIME);
        formats.put("assigned_at", Format.TIME);
        formats.put("deadline", Format.TIME);
        formats.put("progress_at", Format.TIME);
        formats.put("progress_reports", Format.NUMBER);
        formats.put("agent_started_at", Format.TIME);
        formats.put("agent_finished_at", Format.TIME);
        formats.put("finished_at", Format.TIME);
        formats.put("requirements", Format.REQUIREMENTS);
        formats.put("labels", Format.JSON);
        formats.put("uses", Format.JSON);
        formats.put("progress", Format.JSON);
        formats.put("result", Format.JSON);
        formats.put("error", Format.JSON);
        formats.put("redriven", Format.TEXT);
        formats.put("assigned_ms", Format.INTERNAL);
        formats.put("requeued", Format.INTERNAL);
        formats.put("position", Format.INTERNAL);
        formats.put("unconfirmed", Format.INTERNAL);
        return formats;
    }

    /** The status of a task whose dead letter is being written; published as assigned. */
    private static final String FAILING = "failing";

    /**
     * Reads a packed record, without unreadable fields that are not essential; null if it is spoilt.
     *
     * @param record see {@link TaskRecord}
     */
    public static @Nullable TaskState read(String taskId, String record) {
        try {
            Map<String, String> fields = TaskRecord.fields(taskId, record);
            return read(fields, corrupt(fields));
        } catch (RuntimeException e) {
            return null;
        }
    }

    /**
     * Reads a hash of version 0.1 without its unreadable fields; null if one of the essential fields is missing.
     *
     * @param corrupt the unreadable fields, from {@link #corrupt}
     */
    public static @Nullable TaskState read(Map<String, String> hash, Map<String, String> corrupt) {
        Map<String, String> fields = new LinkedHashMap<>();
        FORMATS.keySet().stream().filter(hash::containsKey).forEach(name -> fields.put(name, ""));
        fields.putAll(hash);
        fields.keySet().removeAll(corrupt.keySet());
        TaskStatus status = status(hash.get("status"));
        if (status == null || !fields.keySet().containsAll(essential(status))) {
            return null;
        }
        fields.put("status", status.wireName());
        return new TaskState(status, fields);
    }

    /** The unreadable fields, with their values. */
    public static Map<String, String> corrupt(Map<String, String> hash) {
        Map<String, String> corrupt = new HashMap<>();
        hash.forEach((field, value) -> {
            if (!format(field).parses(value)) {
                corrupt.put(field, value);
            }
        });
        return corrupt;
    }

    /** The format of a field; text if it is unknown to this version. */
    public static Format format(String field) {
        return FORMATS.getOrDefault(field, Format.TEXT);
    }

    /** The published status; null if the text is not a status. */
    public static @Nullable TaskStatus status(@Nullable String text) {
        if (FAILING.equals(text)) {
            return TaskStatus.ASSIGNED;
        }
        return Arrays.stream(TaskStatus.values())
                .filter(status -> status.wireName().equals(text))
                .findFirst()
                .orElse(null);
    }

    /**
     * Fields that must be present and readable, or the task counts as unknown: its final status, or the waiting attempt, or the agent that
     * has it and since when.
     */
    private static Set<String> essential(TaskStatus status) {
        return switch (status) {
            case QUEUED -> Set.of("status", "attempt");
            case ASSIGNED -> Set.of("status", "attempt", "agent_id", "assigned_at");
            case COMPLETED, FAILED, CANCELLED, EXPIRED -> Set.of("status");
        };
    }

    /**
     * The number of its current or next attempt, from 1.
     *
     * @throws NumberFormatException if an ended task has none
     */
    public int attempt() {
        return Integer.parseInt(String.valueOf(fields.get("attempt")));
    }

    /** Whether this agent has it. */
    public boolean isAssignedTo(String agentId) {
        return status == TaskStatus.ASSIGNED && agentId.equals(fields.get("agent_id"));
    }

    /** The agent of its latest attempt. */
    public @Nullable String agentId() {
        return fields.get("agent_id");
    }

    public @Nullable Instant assignedAt() {
        return time("assigned_at");
    }

    /** How often the agent of the current or last attempt reported progress. */
    public int progressReports() {
        return Integer.parseInt(fields.getOrDefault("progress_reports", "0"));
    }

    public @Nullable Instant submittedAt() {
        return time("submitted_at");
    }

    public @Nullable String fairnessKey() {
        return fields.get("fairness_key");
    }

    /** Where its record waits in its queue; empty if it does not wait, or that is not known. */
    public Optional<Position> position() {
        String position = fields.get("position");
        return position == null ? Optional.empty() : Position.parse(position);
    }

    /** The deadline that the agent's last progress report has set; null if there is none. */
    public @Nullable Instant prolongedDeadline() {
        Instant progressAt = time("progress_at");
        String timeout = fields.get("timeout_seconds");
        return progressAt == null || timeout == null ? null : progressAt.plusSeconds(Long.parseLong(timeout));
    }

    /** Before this time it is not assigned. */
    public @Nullable Instant notBefore() {
        return time("not_before");
    }

    /** The error of its latest unsuccessful attempt, as JSON. */
    public @Nullable String error() {
        return fields.get("error");
    }

    public @Nullable Priority priority() {
        String priority = fields.get("priority");
        return priority == null ? null : Priority.parse(priority);
    }

    /** Units of limits that it uses. */
    public Map<String, Long> uses() {
        Map<String, Long> uses = new LinkedHashMap<>();
        String text = fields.get("uses");
        if (text != null) {
            Json.MAPPER.readTree(text).forEachEntry((name, units) -> uses.put(name, units.asLong()));
        }
        return uses;
    }

    public Requirements requirements() {
        String requirements = fields.get("requirements");
        return requirements == null ? Requirements.NONE : Json.read(requirements, Requirements.class);
    }

    /** A field that is a time; null if it is absent. */
    @Nullable
    Instant time(String name) {
        String time = fields.get(name);
        return time == null ? null : Instant.parse(time);
    }
}

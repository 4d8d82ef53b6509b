package io.aitbc.coordinator.taskstate;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Position;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The packed record of a task in Redis: one text, of a head of fixed width, a body and a tail. {@code record.lua} describes the layout, and has
 * it too. The coordinator sends records as a whole, so that the scripts only compare and join them, in half the
 * time and memory that a hash with a field for each value takes.
 */
public final class TaskRecord {
    private static final char FORMAT = '2';
    private static final int HEAD = 75;
    private static final int NUMBER_DIGITS = 7;
    private static final int TIME_DIGITS = 13;
    private static final int FIRST_TIME = 23;
    private static final List<String> TIMES = List.of("assigned_at", "deadline", "progress_at", "finished_at");
    private static final List<String> BODY = List.of(
            "agent_id", "fairness_key", "position", "priority", "submitted_at", "max_attempts", "timeout_seconds");
    private static final List<String> TAIL =
            List.of("progress", "error", "result", "agent_started_at", "agent_finished_at");
    /** With the fields that few tasks have. */
    private static final int BODY_LINES = BODY.size() + 1;

    private TaskRecord() {}

    /** A task that waits for an attempt. */
    public static String queued(Task task, Position position) {
        return pack('q', task.attempt(), null, null, null, body(task, "", position.priority(), position));
    }

    /** A task whose attempt an agent has. */
    public static String assigned(Task task, String agentId, Position position, Instant now) {
        return pack(
                'a',
                task.attempt(),
                now,
                now.plusSeconds(task.timeoutSeconds()),
                null,
                body(task, agentId, position.priority(), position));
    }

    /** A task whose attempt was restored from an agent's topic; it gets its full timeout again. */
    public static String restored(Assignment assignment, Instant now) {
        return pack(
                'a',
                assignment.attempt(),
                assignment.assignedAt(),
                now.plusSeconds(assignment.timeoutSeconds()),
                null,
                body(assignment.task(), assignment.agentId(), assignment.priority(), null));
    }

    /** A task that ended while it waited, or, as it was dead-lettered, after its last attempt. */
    public static String ended(
            Task task, TaskStatus status, Priority priority, @Nullable Position position, Instant now) {
        return pack(letter(status), task.attempt(), null, null, now, body(task, "", priority, position));
    }

    /** A task whose result was settled before Redis was emptied: completed, or requeued after an unsuccessful attempt. */
    public static String settled(Assignment assignment, TaskResult result, Instant now) {
        Task task = assignment.task();
        if (result.status() != TaskResult.Status.COMPLETED) {
            return pack('u', assignment.attempt() + 1, null, null, null, body(task, "", assignment.priority(), null))
                    + "\n" + json(result.error()) + "\n\n\n";
        }
        return pack(
                        'c',
                        assignment.attempt(),
                        assignment.assignedAt(),
                        null,
                        Objects.requireNonNullElse(result.finishedAt(), now),
                        body(task, assignment.agentId(), assignment.priority(), null))
                + "\n\n" + outcome(result);
    }

    /** The last three lines of the tail of a completed task. */
    public static String outcome(TaskResult result) {
        return json(result.result()) + "\n" + text(result.startedAt()) + "\n" + text(result.finishedAt());
    }

    /** The number of an attempt as wide as in a record. */
    public static String attempt(int number) {
        StringBuilder digits = new StringBuilder(NUMBER_DIGITS);
        digits(digits, number, NUMBER_DIGITS);
        return digits.toString();
    }

    /** An entry of an agent's in-flight hash, for a record that {@link #assigned} or {@link #restored} has packed. */
    public static String inflightEntry(String record, @Nullable Position origin) {
        return Integer.parseInt(record, 2, 2 + NUMBER_DIGITS, 10) + " "
                + record.substring(FIRST_TIME, FIRST_TIME + TIME_DIGITS) + " "
                + record.substring(FIRST_TIME + TIME_DIGITS, FIRST_TIME + 2 * TIME_DIGITS) + " "
                + (origin == null ? "-" : origin);
    }

    /** An entry of an agent's in-flight hash. */
    public static String inflightEntry(int attempt, Instant assignedAt, Instant deadline, @Nullable String origin) {
        StringBuilder entry = new StringBuilder().append(attempt).append(' ');
        digits(entry, assignedAt.toEpochMilli(), TIME_DIGITS);
        digits(entry.append(' '), deadline.toEpochMilli(), TIME_DIGITS);
        return entry.append(' ').append(origin == null ? "-" : origin).toString();
    }

    /** A record with the fields of a hash of version 0.1, see {@link TaskState}. */
    public static String converted(TaskState state) {
        Map<String, String> fields = state.fields();
        ObjectNode others = Json.object();
        for (String name : List.of("not_before", "expires_at")) {
            if (fields.containsKey(name)) {
                others.put(name, fields.get(name));
            }
        }
        if (fields.containsKey("requirements")) {
            others.set("requirements", Json.MAPPER.readTree(fields.get("requirements")));
        }
        boolean waits = state.status() == TaskStatus.QUEUED;
        StringBuilder body = new StringBuilder();
        for (String name : BODY) {
            body.append(waits && name.equals("agent_id") ? "" : fields.getOrDefault(name, ""))
                    .append('\n');
        }
        body.append(others.isEmpty() ? "" : Json.text(others)).append('\n');
        StringBuilder tail = new StringBuilder();
        if (TAIL.stream().anyMatch(fields::containsKey)) {
            for (String name : TAIL) {
                tail.append(name.equals(TAIL.get(0)) ? "" : "\n").append(fields.getOrDefault(name, ""));
            }
        }
        StringBuilder head = new StringBuilder(HEAD)
                .append(FORMAT)
                .append(waits && !fields.containsKey("position") ? 'r' : letter(state.status()));
        digits(head, Long.parseLong(fields.getOrDefault("attempt", "1")), NUMBER_DIGITS);
        digits(head, Long.parseLong(fields.getOrDefault("redriven", "0")), NUMBER_DIGITS);
        digits(head, length(body), NUMBER_DIGITS);
        for (String name : TIMES) {
            String time = waits ? null : fields.get(name);
            digits(head, time == null ? 0 : Instant.parse(time).toEpochMilli(), TIME_DIGITS);
        }
        return head.append(body).append(tail).toString();
    }

    /**
     * The fields of a record, by name, as text.
     *
     * @param record as read from Redis; its tail may be missing
     * @throws RuntimeException if it is spoilt
     */
    static Map<String, String> fields(String taskId, String record) {
        if (record.length() < HEAD || record.charAt(0) != FORMAT) {
            throw new IllegalArgumentException("unknown format");
        }
        char letter = record.charAt(1);
        Map<String, String> fields = new LinkedHashMap<>();
        fields.put("task_id", taskId);
        String status = status(letter);
        if (status == null) {
            throw new IllegalArgumentException("unknown status " + letter);
        }
        fields.put("status", status);
        fields.put("attempt", String.valueOf(Integer.parseInt(record, 2, 2 + NUMBER_DIGITS, 10)));
        int redriven = Integer.parseInt(record, 2 + NUMBER_DIGITS, 2 + 2 * NUMBER_DIGITS, 10);
        if (redriven > 0) {
            fields.put("redriven", String.valueOf(redriven));
        }
        for (int i = 0; i < TIMES.size(); i++) {
            int from = FIRST_TIME + i * TIME_DIGITS;
            long time = Long.parseLong(record, from, from + TIME_DIGITS, 10);
            if (time > 0) {
                fields.put(TIMES.get(i), Instant.ofEpochMilli(time).toString());
            }
        }
        String[] lines = record.substring(HEAD).split("\n", -1);
        boolean hasTail = lines.length == BODY_LINES + TAIL.size();
        if (!hasTail && (lines.length != BODY_LINES + 1 || !lines[BODY_LINES].isEmpty())) {
            throw new IllegalArgumentException("lines are missing");
        }
        int body = 0;
        for (int i = 0; i < BODY_LINES; i++) {
            body += length(lines[i]) + 1;
        }
        if (body != Integer.parseInt(record, 2 + 2 * NUMBER_DIGITS, FIRST_TIME, 10)) {
            throw new IllegalArgumentException("the body has another length");
        }
        putPresent(fields, BODY, lines, 0);
        if (letter != 'q') {
            fields.remove("position");
        }
        String others = lines[BODY.size()];
        if (!others.isEmpty()) {
            Json.read(others, ObjectNode.class)
                    .forEachEntry(
                            (name, value) -> fields.put(name, value.isString() ? value.asString() : Json.text(value)));
        }
        if (hasTail) {
            putPresent(fields, TAIL, lines, BODY_LINES);
        }
        return fields;
    }

    private static void putPresent(Map<String, String> fields, List<String> names, String[] lines, int first) {
        for (int i = 0; i < names.size(); i++) {
            if (!lines[first + i].isEmpty()) {
                fields.put(names.get(i), lines[first + i]);
            }
        }
    }

    /** The status of a task; null if the record is spoilt. */
    static @Nullable String status(String record) {
        return record.length() < HEAD || record.charAt(0) != FORMAT ? null : status(record.charAt(1));
    }

    private static @Nullable String status(char letter) {
        return switch (letter) {
            case 'q', 'r', 'u' -> "queued";
            case 'a', 'g' -> "assigned";
            case 'c' -> "completed";
            case 'f' -> "failed";
            case 'x' -> "cancelled";
            case 'e' -> "expired";
            default -> null;
        };
    }

    private static char letter(TaskStatus status) {
        return switch (status) {
            case QUEUED -> 'q';
            case ASSIGNED -> 'a';
            case COMPLETED -> 'c';
            case FAILED -> 'f';
            case CANCELLED -> 'x';
            case EXPIRED -> 'e';
        };
    }

    private static String pack(
            char letter,
            int attempt,
            @Nullable Instant assignedAt,
            @Nullable Instant deadline,
            @Nullable Instant endedAt,
            StringBuilder body) {
        StringBuilder record =
                new StringBuilder(HEAD + body.length()).append(FORMAT).append(letter);
        digits(record, attempt, NUMBER_DIGITS);
        digits(record, 0, NUMBER_DIGITS);
        digits(record, length(body), NUMBER_DIGITS);
        digits(record, assignedAt == null ? 0 : assignedAt.toEpochMilli(), TIME_DIGITS);
        digits(record, deadline == null ? 0 : deadline.toEpochMilli(), TIME_DIGITS);
        digits(record, 0, TIME_DIGITS);
        digits(record, endedAt == null ? 0 : endedAt.toEpochMilli(), TIME_DIGITS);
        return record.append(body).toString();
    }

    private static StringBuilder body(Task task, String agentId, Priority priority, @Nullable Position position) {
        StringBuilder body = new StringBuilder(128);
        body.append(agentId).append('\n');
        body.append(Objects.requireNonNullElse(task.fairnessKey(), "")).append('\n');
        body.append(position == null ? "" : position).append('\n');
        body.append(priority.wireName()).append('\n');
        body.append(task.acceptedAt()).append('\n');
        body.append(task.maxAttempts()).append('\n');
        body.append(task.timeoutSeconds()).append('\n');
        ObjectNode others = others(task);
        body.append(others.isEmpty() ? "" : Json.text(others));
        return body.append('\n');
    }

    /** The fields that few tasks have. */
    private static ObjectNode others(Task task) {
        ObjectNode others = Json.object();
        if (task.notBefore() != null) {
            others.put("not_before", task.notBefore().toString());
        }
        if (task.expiresAt() != null) {
            others.put("expires_at", task.expiresAt().toString());
        }
        if (!task.requirements().equals(Requirements.NONE)) {
            others.set("requirements", withoutAbsent(Json.tree(task.requirements())));
        }
        if (!task.labels().isEmpty()) {
            others.set("labels", Json.tree(task.labels()));
        }
        if (!task.uses().isEmpty()) {
            others.set("uses", Json.tree(task.uses()));
        }
        return others;
    }

    /** Without nulls and empty lists, which are most of the text and say nothing. */
    private static JsonNode withoutAbsent(JsonNode requirements) {
        requirements.values().removeIf(value -> value.isNull() || value.isArray() && value.isEmpty());
        return requirements;
    }

    /** Appends a number with leading zeros; a time before 1970 counts as unknown. */
    private static void digits(StringBuilder text, long number, int width) {
        String digits = Long.toString(Math.max(0, number));
        for (int i = digits.length(); i < width; i++) {
            text.append('0');
        }
        text.append(digits);
    }

    /** In UTF-8, which Redis counts in. */
    private static int length(CharSequence text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) > 127) {
                return text.toString().getBytes(StandardCharsets.UTF_8).length;
            }
        }
        return text.length();
    }

    private static String json(@Nullable JsonNode value) {
        return value == null ? "" : Json.text(value);
    }

    private static String text(@Nullable Instant time) {
        return time == null ? "" : time.toString();
    }
}

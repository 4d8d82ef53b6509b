package io.aitbc.coordinator.taskstate;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.match.Position;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The packed record of a task in Redis: one text, of a head of fixed width, a body and a tail. {@code record.lua} describes the layout; both
 * must agree. The coordinator sends records as a whole, so that the scripts only compare and join them, in half the
 * time and memory that a hash with a field for each value takes. The numbers of the head are in base 36, its times in ms. Other times may have
 * fractions of a millisecond: they are in ns, in base 36 too, which is half as long as ISO 8601.
 */
public final class TaskRecord {
    private static final char FORMAT = '2';
    private static final int BASE = 36;
    private static final int ENDED_AT = 2;
    private static final int ATTEMPT = 11;
    private static final int REDRIVEN = 15;
    private static final int LENGTH = 19;
    private static final int ASSIGNED_AT = 24;
    private static final int DEADLINE = 33;
    private static final int HEAD = 42;
    /** Bytes that hold the head of a record, the agent, the fairness key and the position, however long they are. */
    static final int POSITION_WITHIN = 600;

    /** Digits of a time. */
    private static final int TIME = 9;
    /** End of the number of progress reports, which follows the time of the last one. */
    private static final int PROGRESS = 13;

    private static final String ZEROS = "000000000";
    /** The last time whose ns are a long, in the year 2262. */
    private static final Instant LAST = Instant.ofEpochSecond(0, Long.MAX_VALUE);

    private static final int ENTRY_TIME_DIGITS = 13;
    private static final List<String> BODY = List.of(
            "agent_id", "fairness_key", "position", "priority", "submitted_at", "max_attempts", "timeout_seconds");
    private static final List<String> TAIL =
            List.of("progress", "error", "result", "agent_started_at", "agent_finished_at");
    /** Of the body and the tail. */
    private static final Set<String> TIMES = Set.of("submitted_at", "agent_started_at", "agent_finished_at");
    /** With the fields that few tasks have. */
    private static final int BODY_LINES = BODY.size() + 1;

    private static final Logger log = LoggerFactory.getLogger(TaskRecord.class);

    private TaskRecord() {}

    /** A task that waits for an attempt. */
    public static String queued(Task task, Position position) {
        return pack('q', task.attempt(), null, null, null, body(task, "", position.priority(), position));
    }

    /** A task whose attempt an agent has, and that no limits apply to but those that it names. */
    public static String assigned(Task task, String agentId, Position position, Instant now) {
        return assigned(task, task.uses(), agentId, position, now);
    }

    /**
     * A task whose attempt an agent has.
     *
     * @param uses units of limits that the attempt holds
     */
    public static String assigned(Task task, Map<String, Long> uses, String agentId, Position position, Instant now) {
        return pack(
                'a',
                task.attempt(),
                now,
                now.plusSeconds(task.timeoutSeconds()),
                null,
                body(task, uses, agentId, position.priority(), position));
    }

    /** A task whose attempt was restored from an agent's topic; it gets its full timeout again. */
    public static String restored(Assignment assignment, Instant now) {
        return pack(
                'a',
                assignment.attempt(),
                assignment.assignedAt(),
                now.plusSeconds(assignment.timeoutSeconds()),
                null,
                body(
                        assignment.task(),
                        AgentResource.added(
                                assignment.uses(), assignment.requirements().resources(), assignment.agentId()),
                        assignment.agentId(),
                        assignment.priority(),
                        null));
    }

    /** A task that ended while it waited, or, as it was dead-lettered, after its last attempt. */
    public static String ended(
            Task task, TaskStatus status, Priority priority, @Nullable Position position, Instant now) {
        return pack(letter(status), task.attempt(), null, null, now, body(task, "", priority, position));
    }

    /** A record without a tail, with the reason of a failure. */
    public static String withError(String record, String error) {
        return record + "\n" + Json.text(Json.tree(error)) + "\n\n\n";
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
        return json(result.result()) + "\n" + packed(result.startedAt()) + "\n" + packed(result.finishedAt());
    }

    /** How the record of a task begins while an agent has this attempt. */
    public static String live(int attempt) {
        StringBuilder beginning =
                new StringBuilder(REDRIVEN).append(FORMAT).append('a').append(ZEROS);
        return number(beginning, attempt, ATTEMPT, REDRIVEN).toString();
    }

    /** An entry of an agent's in-flight hash. */
    public static String inflightEntry(int attempt, Instant assignedAt, Instant deadline, @Nullable String origin) {
        StringBuilder entry = new StringBuilder(64).append(attempt).append(' ');
        digits(entry, ms(assignedAt));
        digits(entry.append(' '), ms(deadline));
        return entry.append(' ').append(origin == null ? "-" : origin).toString();
    }

    /**
     * A record with the fields of a hash of version 0.1, see {@link TaskState}.
     *
     * @param failing whether its attempt was fenced
     */
    public static String converted(TaskState state, boolean failing) {
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
            String value = waits && name.equals("agent_id") ? "" : fields.getOrDefault(name, "");
            body.append(TIMES.contains(name) ? packed(value) : value).append('\n');
        }
        body.append(others.isEmpty() ? "" : Json.text(others)).append('\n');
        StringBuilder tail = new StringBuilder();
        boolean progressed = fields.containsKey("progress") || fields.containsKey("progress_at");
        if (progressed || TAIL.stream().anyMatch(fields::containsKey)) {
            if (progressed) {
                time(tail, waits ? null : state.time("progress_at"), 0, TIME);
                // Version 0.1 did not count them.
                number(tail, waits ? 0 : 1, TIME, PROGRESS);
            }
            for (String name : TAIL) {
                String value = fields.getOrDefault(name, "");
                tail.append(name.equals(TAIL.get(0)) ? "" : "\n").append(TIMES.contains(name) ? packed(value) : value);
            }
        }
        StringBuilder record = new StringBuilder(HEAD + body.length())
                .append(FORMAT)
                .append(failing ? 'g' : waits && !fields.containsKey("position") ? 'r' : letter(state.status()));
        time(record, waits ? null : state.time("finished_at"), ENDED_AT, ATTEMPT);
        number(record, Long.parseLong(fields.getOrDefault("attempt", "1")), ATTEMPT, REDRIVEN);
        number(record, Long.parseLong(fields.getOrDefault("redriven", "0")), REDRIVEN, LENGTH);
        number(record, length(body), LENGTH, ASSIGNED_AT);
        time(record, waits ? null : state.time("assigned_at"), ASSIGNED_AT, DEADLINE);
        time(record, waits ? null : state.time("deadline"), DEADLINE, HEAD);
        return record.append(body).append(tail).toString();
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
        fields.put("attempt", String.valueOf(number(record, ATTEMPT, REDRIVEN)));
        long redriven = number(record, REDRIVEN, LENGTH);
        if (redriven > 0) {
            fields.put("redriven", String.valueOf(redriven));
        }
        putTime(fields, "assigned_at", number(record, ASSIGNED_AT, DEADLINE));
        putTime(fields, "deadline", number(record, DEADLINE, HEAD));
        putTime(fields, "finished_at", number(record, ENDED_AT, ATTEMPT));
        String[] lines = record.substring(HEAD).split("\n", -1);
        boolean hasTail = lines.length == BODY_LINES + TAIL.size();
        if (!hasTail && (lines.length != BODY_LINES + 1 || !lines[BODY_LINES].isEmpty())) {
            throw new IllegalArgumentException("lines are missing");
        }
        int body = 0;
        for (int i = 0; i < BODY_LINES; i++) {
            body += length(lines[i]) + 1;
        }
        if (body != number(record, LENGTH, ASSIGNED_AT)) {
            throw new IllegalArgumentException("the body has another length");
        }
        putPresent(fields, BODY, lines, 0);
        Position.parse(fields.getOrDefault("position", ""))
                .ifPresent(
                        position -> fields.put("priority", position.priority().wireName()));
        if (letter != 'q') {
            fields.remove("position");
        }
        String others = lines[BODY.size()];
        if (!others.isEmpty()) {
            putOthers(fields, others);
        }
        if (hasTail) {
            String progress = lines[BODY_LINES];
            if (!progress.isEmpty()) {
                putTime(fields, "progress_at", number(progress, 0, TIME));
                long reports = number(progress, TIME, PROGRESS);
                if (reports > 0) {
                    fields.put("progress_reports", String.valueOf(reports));
                }
                lines[BODY_LINES] = progress.substring(PROGRESS);
            }
            putPresent(fields, TAIL, lines, BODY_LINES);
        }
        return fields;
    }

    /** A corrupt text is left out: the task is what its head says. */
    private static void putOthers(Map<String, String> fields, String others) {
        try {
            Json.read(others, ObjectNode.class).forEachEntry((name, value) -> {
                if (value instanceof ObjectNode uses && name.equals("uses")) {
                    // The requirements say what it takes of resources.
                    uses.remove(uses.propertyNames().stream()
                            .filter(AgentResource::isName)
                            .toList());
                }
                if (!value.isEmpty() || !name.equals("uses")) {
                    fields.put(name, value.isString() ? value.asString() : Json.text(value));
                }
            });
        } catch (Json.MalformedMessageException e) {
            log.atDebug().addKeyValue("task_id", fields.get("task_id")).log("Corrupt fields: {}", e.getMessage());
        }
    }

    private static void putPresent(Map<String, String> fields, List<String> names, String[] lines, int first) {
        for (int i = 0; i < names.size(); i++) {
            String name = names.get(i);
            String line = lines[first + i];
            if (!line.isEmpty()) {
                fields.put(name, TIMES.contains(name) ? unpacked(line) : line);
            }
        }
    }

    private static void putTime(Map<String, String> fields, String name, long ms) {
        if (ms > 0) {
            fields.put(name, Instant.ofEpochMilli(ms).toString());
        }
    }

    /**
     * Where the record of a task waits, if it does and that is known.
     *
     * @param beginning of its packed record, {@value #POSITION_WITHIN} bytes or all
     */
    static Optional<Position> waitingAt(String beginning) {
        if (beginning.length() < HEAD || beginning.charAt(0) != FORMAT || beginning.charAt(1) != 'q') {
            return Optional.empty();
        }
        String[] lines = beginning.substring(HEAD).split("\n", BODY.indexOf("position") + 2);
        return lines.length < BODY.indexOf("position") + 2
                ? Optional.empty()
                : Position.parse(lines[BODY.indexOf("position")]);
    }

    /** The status that a letter stands for; null if there is none. */
    static @Nullable String status(char letter) {
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
        time(record, endedAt, ENDED_AT, ATTEMPT);
        number(record, attempt, ATTEMPT, REDRIVEN);
        number(record, 0, REDRIVEN, LENGTH);
        number(record, length(body), LENGTH, ASSIGNED_AT);
        time(record, assignedAt, ASSIGNED_AT, DEADLINE);
        time(record, deadline, DEADLINE, HEAD);
        return record.append(body).toString();
    }

    private static StringBuilder body(Task task, String agentId, Priority priority, @Nullable Position position) {
        return body(task, task.uses(), agentId, priority, position);
    }

    private static StringBuilder body(
            Task task, Map<String, Long> uses, String agentId, Priority priority, @Nullable Position position) {
        StringBuilder body = new StringBuilder(128);
        body.append(agentId).append('\n');
        body.append(Objects.requireNonNullElse(task.fairnessKey(), "")).append('\n');
        body.append(position == null ? "" : position).append('\n');
        body.append(position == null ? priority.wireName() : "").append('\n');
        body.append(packed(task.acceptedAt())).append('\n');
        body.append(task.maxAttempts()).append('\n');
        body.append(task.timeoutSeconds()).append('\n');
        ObjectNode others = others(task, uses);
        body.append(others.isEmpty() ? "" : Json.text(others));
        return body.append('\n');
    }

    /** The fields that few tasks have. */
    private static ObjectNode others(Task task, Map<String, Long> uses) {
        ObjectNode others = Json.object();
        if (!uses.isEmpty()) {
            // First: limits.lua finds it there.
            others.set("uses", Json.tree(uses));
        }
        if (task.notBefore() != null) {
            others.put("not_before", task.notBefore().toString());
        }
        if (task.expiresAt() != null) {
            others.put("expires_at", task.expiresAt().toString());
        }
        if (!task.requirements().equals(Requirements.NONE)) {
            others.set("requirements", task.requirements().sparse());
        }
        if (!task.labels().isEmpty()) {
            others.set("labels", Json.tree(task.labels()));
        }

        return others;
    }

    /** Appends a number, with leading zeros, that fills the record from one place to another. One that does not fit is the lowest or highest that does. */
    private static StringBuilder number(StringBuilder record, long number, int from, int to) {
        String digits = Long.toString(Math.max(0, number), BASE);
        return digits.length() > to - from
                ? record.append("z".repeat(to - from))
                : record.append(ZEROS, 0, to - from - digits.length()).append(digits);
    }

    private static long number(String record, int from, int to) {
        return Long.parseLong(record, from, to, BASE);
    }

    private static void time(StringBuilder record, @Nullable Instant time, int from, int to) {
        number(record, time == null ? 0 : ms(time), from, to);
    }

    /** Times out of range, which an agent may send, count as the first or the last. */
    private static long ms(Instant time) {
        return time.isBefore(Instant.EPOCH) ? 0 : (time.isAfter(LAST) ? LAST : time).toEpochMilli();
    }

    /** A time in ns, or as ISO 8601 if it is out of their range. */
    private static String packed(@Nullable Instant time) {
        if (time == null) {
            return "";
        }
        return time.isBefore(Instant.EPOCH) || time.isAfter(LAST)
                ? time.toString()
                : Long.toString(time.getEpochSecond() * 1_000_000_000 + time.getNano(), BASE);
    }

    private static String packed(String time) {
        return time.isEmpty() ? "" : packed(Instant.parse(time));
    }

    private static String unpacked(String time) {
        return time.contains(":")
                ? time
                : Instant.ofEpochSecond(0, Long.parseLong(time, BASE)).toString();
    }

    /** Appends the decimal digits of a time in ms. */
    private static void digits(StringBuilder text, long ms) {
        String digits = Long.toString(ms);
        text.append("0".repeat(Math.max(0, ENTRY_TIME_DIGITS - digits.length())))
                .append(digits);
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
}

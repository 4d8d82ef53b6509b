package io.aitbc.coordinator.history;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskStatus;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a batch of events says about one task, merged: a row of the table {@code tasks}, and rows of {@code attempts}, as JSON objects whose fields are the
 * columns. Pure.
 */
final class TaskChanges {
    /** Of an input, a result and an error; what is longer is cut. */
    static final int MAX_TEXT_BYTES = 16 * 1024;

    /** The field of a task that names the task which it repeats. */
    private static final String RETRY_OF = "retry_of";

    /** PostgreSQL has no NUL in texts; a lone surrogate is not UTF-8. */
    private static final Pattern SEPARATORS = Pattern.compile("[^\\p{L}\\p{N}]+");

    private static final Pattern UNSTORABLE = Pattern.compile("[\\x00\\p{Cs}]");

    /** Longer values do not fit into an index. */
    private static final int MAX_TYPE = 200;

    static final Instant MIN_TIME = Instant.parse("0001-01-01T00:00:00Z");
    static final Instant MAX_TIME = Instant.parse("9999-12-31T23:59:59Z");

    private final ObjectNode task = Json.object();
    private final Set<String> agents = new HashSet<>();
    private final Map<Integer, ObjectNode> attempts = new TreeMap<>();
    private final LocalDate firstDay;

    private @Nullable Instant submittedAt;

    private TaskChanges(TaskEvent first) {
        firstDay = LocalDate.ofInstant(storable(first.time()), ZoneOffset.UTC);
        task.put("task_id", first.taskId());
    }

    /** By task id. */
    static Map<String, TaskChanges> of(List<TaskEvent> events) {
        Map<String, TaskChanges> changes = new LinkedHashMap<>();
        events.stream()
                .sorted(Comparator.comparing(TaskEvent::sequence))
                .forEach(event -> changes.computeIfAbsent(event.taskId(), id -> new TaskChanges(event))
                        .add(event));
        return changes;
    }

    /** Null if the task has not ended. */
    @Nullable
    Instant finishedAt() {
        JsonNode at = task.get("finished_at");
        return at == null ? null : Instant.parse(at.asString());
    }

    /** The day of the task's first event in this batch, in UTC. */
    LocalDate firstDay() {
        return firstDay;
    }

    /** Null if no event of this batch carries the task. */
    @Nullable
    Instant submittedAt() {
        return submittedAt;
    }

    ObjectNode task(LocalDate day) {
        task.set("agents", Json.tree(agents));
        return task.put("day", day.toString());
    }

    List<ObjectNode> attempts(LocalDate day) {
        attempts.values().forEach(one -> one.put("day", day.toString()));
        return List.copyOf(attempts.values());
    }

    private void add(TaskEvent event) {
        TaskEvent.Change change = event.change();
        task.put("sequence", Integer.parseInt(event.sequence()));
        task.put("attempt", change.nextAttempt() == null ? change.attempt() : change.nextAttempt());
        task.put("status", status(event.kind()).wireName());
        put("finished_at", event.kind().isEnd() ? event.time() : null, task);
        put("not_before", change.notBefore(), task);
        if (change.priority() != null) {
            task.put("priority", change.priority().wireName());
        }
        if (change.task() != null && submittedAt == null) {
            describe(change.task());
        }
        if (change.assignedAt() != null) {
            put("assigned_at", change.assignedAt(), task);
        }
        switch (event.kind()) {
            case ATTEMPT_FAILED, FAILED -> {
                putText("reason", change.reason(), task);
                putText("error", error(change), task);
                putText("error_text", words(change), task);
                task.put("error_sequence", Integer.parseInt(event.sequence()));
            }
            case COMPLETED -> {
                String result = text(change.result());
                putText("result", result, task);
                task.put("result_sequence", Integer.parseInt(event.sequence()));
                if (result != null) {
                    task.put("result_bytes", result.getBytes(StandardCharsets.UTF_8).length);
                }
            }
            case REDRIVEN, ACCEPTED, ASSIGNED, CANCELLED, EXPIRED -> {
                // They have neither.
            }
        }
        if (change.agentId() != null) {
            agents.add(change.agentId());
            task.put("agent_id", change.agentId());
            task.put("agent_sequence", Integer.parseInt(event.sequence()));
            add(event, change.agentId());
        }
    }

    private void add(TaskEvent event, String agentId) {
        TaskEvent.Change change = event.change();
        ObjectNode attempt = attempts.computeIfAbsent(
                change.attempt(), number -> Json.object().put("attempt", number).put("task_id", event.taskId()));
        attempt.put("sequence", Integer.parseInt(event.sequence()));
        attempt.put("agent_id", agentId);
        putPresent("assigned_at", change.assignedAt(), attempt);
        putPresent("started_at", change.startedAt(), attempt);
        if (change.progressReports() != null) {
            attempt.put("progress_reports", change.progressReports());
        }
        switch (event.kind()) {
            case ASSIGNED, REDRIVEN, ACCEPTED, EXPIRED -> {
                // It runs.
            }
            case ATTEMPT_FAILED, FAILED -> {
                putText("outcome", change.reason(), attempt);
                putText("error", error(change), attempt);
                putPresent("not_before", change.notBefore(), attempt);
                put("finished_at", event.time(), attempt);
            }
            case CANCELLED -> {
                attempt.put("outcome", "cancelled");
                put("finished_at", event.time(), attempt);
            }
            case COMPLETED -> {
                attempt.put("outcome", "completed");
                attempt.remove("error");
                put("finished_at", event.time(), attempt);
            }
        }
    }

    private void describe(Task described) {
        submittedAt = described.submittedAt() == null
                ? null
                : storable(described.submittedAt()).truncatedTo(ChronoUnit.MICROS);
        put("submitted_at", described.submittedAt(), task);
        Payload payload = described.payload();
        byte[] input = payload.bytes();
        putText("task_data", new String(input, StandardCharsets.UTF_8), task);
        task.put("task_data_bytes", input.length);
        JsonNode type = payload.tree().get("task_type");
        putText("task_type", type != null && type.isString() ? shortened(type.asString()) : null, task);
        Requirements requirements = described.requirements();
        putText("agent_type", requirements.agentType(), task);
        task.set("capabilities", texts(requirements.capabilities()));
        if (!requirements.equals(Requirements.NONE)) {
            task.put("requirements", storable(Json.text(requirements.sparse())));
        }
        putText("fairness_key", described.fairnessKey(), task);
        if (described.fairnessWeight() != null) {
            task.put("fairness_weight", described.fairnessWeight());
        }
        task.set(
                "labels",
                texts(described.labels().entrySet().stream()
                        .map(label -> label.getKey() + "=" + label.getValue())
                        .toList()));
        if (!described.uses().isEmpty()) {
            task.put("uses", storable(Json.text(described.uses())));
        }
        JsonNode retryOf = described.unknown().get(RETRY_OF);
        putText("retry_of", retryOf != null && retryOf.isString() ? retryOf.asString() : null, task);
        task.put("max_attempts", described.maxAttempts());
        task.put("timeout_seconds", described.timeoutSeconds());
        put("scheduled_at", described.notBefore(), task);
        if (described.notBefore() != null) {
            put("not_before", described.notBefore(), task);
        }
    }

    private static TaskStatus status(TaskEvent.Kind kind) {
        return switch (kind) {
            case REDRIVEN, ACCEPTED, ATTEMPT_FAILED -> TaskStatus.QUEUED;
            case ASSIGNED -> TaskStatus.ASSIGNED;
            case FAILED -> TaskStatus.FAILED;
            case CANCELLED -> TaskStatus.CANCELLED;
            case EXPIRED -> TaskStatus.EXPIRED;
            case COMPLETED -> TaskStatus.COMPLETED;
        };
    }

    private static ArrayNode texts(List<String> texts) {
        ArrayNode array = Json.MAPPER.createArrayNode();
        texts.forEach(text -> array.add(storable(text)));
        return array;
    }

    private static String shortened(String text) {
        return text.codePointCount(0, text.length()) <= MAX_TYPE
                ? text
                : text.substring(0, text.offsetByCodePoints(0, MAX_TYPE));
    }

    /** Without the name of a lost agent, which tenants may not see or search. It is in the column of agents. */
    private static @Nullable String error(TaskEvent.Change change) {
        return "agent_lost".equals(change.reason()) ? "\"the agent was lost\"" : text(change.error());
    }

    private static @Nullable String words(TaskEvent.Change change) {
        JsonNode error = change.error();
        return error == null || "agent_lost".equals(change.reason())
                ? error(change)
                : words(error.isString() ? error.asString() : Json.text(error));
    }

    /** Replaces punctuation by spaces, so that the parts of paths, host names and class names can be searched. */
    private static String words(String text) {
        return SEPARATORS.matcher(text).replaceAll(" ");
    }

    private static @Nullable String text(@Nullable JsonNode json) {
        return json == null ? null : Json.text(json);
    }

    private static void putText(String field, @Nullable String text, ObjectNode row) {
        if (text == null) {
            row.remove(field);
        } else {
            row.put(field, storable(cut(text)));
        }
    }

    /** At most {@link #MAX_TEXT_BYTES} of UTF-8, without half a character at its end. */
    private static String cut(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length <= MAX_TEXT_BYTES) {
            return text;
        }
        int end = MAX_TEXT_BYTES;
        // The bytes 10xxxxxx continue a character.
        while ((bytes[end] & 0b1100_0000) == 0b1000_0000) {
            end--;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8);
    }

    private static String storable(String text) {
        return UNSTORABLE.matcher(text).replaceAll("\uFFFD");
    }

    private static void putPresent(String field, @Nullable Instant time, ObjectNode row) {
        if (time != null) {
            put(field, time, row);
        }
    }

    private static void put(String field, @Nullable Instant time, ObjectNode row) {
        if (time == null) {
            row.remove(field);
        } else {
            row.put(field, storable(time).toString());
        }
    }

    /** Clients may name any time. */
    private static Instant storable(Instant time) {
        return time.isBefore(MIN_TIME) ? MIN_TIME : time.isAfter(MAX_TIME) ? MAX_TIME : time;
    }
}

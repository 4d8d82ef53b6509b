package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonValue;
import java.time.Instant;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * What happened to a task: the value on {@code tasks.events}, a <a href="https://cloudevents.io">CloudEvent</a> in structured mode, keyed by
 * task id.
 *
 * <p>Each is published at least once, and the topic is not in order: the assignment and the result may be published by different coordinators. Events with the same
 * {@link #id} are the same event; those of a task are ordered by {@link #sequence}, whatever their times say.
 *
 * @param specversion of CloudEvents, {@value #SPEC_VERSION}
 * @param id {@code <task_id>:<attempt>:<kind>}, such as {@code order-7:1:completed}
 * @param source {@value #SOURCE}
 * @param kind what happened
 * @param taskId the task it happened to
 * @param time when it happened, by the clock of the coordinator; for {@link Kind#ACCEPTED}, when the task was submitted
 * @param contentType of the data, {@value #DATA_TYPE}
 * @param sequence orders the events of a task, as text: 9 digits
 * @param change the details
 */
public record TaskEvent(
        @JsonProperty("specversion") String specversion,
        @JsonProperty("id") String id,
        @JsonProperty("source") String source,
        @JsonProperty("type") Kind kind,
        @JsonProperty("subject") String taskId,
        @JsonProperty("time") Instant time,
        @JsonProperty("datacontenttype") String contentType,
        @JsonProperty("sequence") String sequence,
        @JsonProperty("data") Change change) {
    public static final String SPEC_VERSION = "1.0";
    public static final String SOURCE = "/agent-coordinator";
    /** The content type of a record, in its header {@code content-type}. */
    public static final String CONTENT_TYPE = "application/cloudevents+json";

    public static final String DATA_TYPE = "application/json";
    private static final int RANKS = 100;
    private static final int SEQUENCE_DIGITS = 9;

    public TaskEvent {
        Checks.required("specversion", specversion);
        Checks.required("id", id);
        Checks.required("source", source);
        Checks.required("type", kind);
        Ids.check("subject", taskId);
        Checks.required("time", time);
        Checks.required("sequence", sequence);
        Checks.required("data", change);
    }

    /**
     * What can happen to a task, in the order in which it happens within an attempt. An attempt that was given up may complete after all, so {@link #COMPLETED} is the
     * last.
     */
    public enum Kind {
        /** Failed permanently, and was requeued by a caller; it continues with this attempt. */
        REDRIVEN(10),
        /** Waits for an agent. Left out for most tasks that are assigned within a second. */
        ACCEPTED(20),
        /** An agent has been given the attempt. */
        ASSIGNED(30),
        /** The attempt did not succeed, and the task has been requeued for another one. */
        ATTEMPT_FAILED(50),
        /** Ended: the attempt did not succeed and was the last, or the task cannot be assigned; it can be redriven from its dead letter. */
        FAILED(60),
        /** Ended: a caller cancelled it. */
        CANCELLED(70),
        /** Ended: it was not assigned by the time it asked for. */
        EXPIRED(80),
        /** Ended: the attempt succeeded. */
        COMPLETED(90);

        private static final Map<String, Kind> BY_TYPE =
                Arrays.stream(values()).collect(Collectors.toMap(Kind::type, kind -> kind));

        /** Within an attempt, from 0 to 99. */
        private final int rank;

        private final String wireName = name().toLowerCase(Locale.ROOT);
        private final String type = "io.aitbc.task." + wireName;

        Kind(int rank) {
            this.rank = rank;
        }

        /** The type of the CloudEvent, such as {@code io.aitbc.task.attempt_failed}. */
        @JsonValue
        public String type() {
            return type;
        }

        /** The last part of the type. */
        public String wireName() {
            return wireName;
        }

        /** Whether it is the last of the task, unless that is redriven. */
        public boolean isEnd() {
            return compareTo(FAILED) >= 0;
        }

        @JsonCreator
        public static Kind parse(String type) {
            Kind kind = BY_TYPE.get(type);
            if (kind == null) {
                throw new IllegalArgumentException("Unknown type of event: " + Checks.shortened(type));
            }
            return kind;
        }
    }

    /**
     * The details of an event. What does not apply to its kind is absent.
     *
     * @param attempt the attempt that the event is about; for {@code redriven} and {@code accepted}, the next one
     * @param priority of the task, for {@link Kind#REDRIVEN}, {@link Kind#ACCEPTED} and {@link Kind#ASSIGNED}
     * @param task the task as it was submitted, for {@link Kind#ACCEPTED}, and for {@link Kind#ASSIGNED} with attempt 1
     * @param agentId the agent that has or had the attempt; absent if none had
     * @param assignedAt since when the agent has or had it
     * @param result any JSON that the agent reported, for {@code completed}
     * @param startedAt when the agent started, by its own clock
     * @param finishedAt when the agent finished, by its own clock
     * @param reason why an attempt or a task failed: {@code failed}, {@code rejected}, {@code overdue}, {@code agent_lost}, {@code
     *     payload_lost} or {@code record_lost}
     * @param error any JSON that describes the failure, preferably a sentence
     * @param nextAttempt the number of the next attempt, for {@code attempt_failed}
     * @param notBefore the earliest time of the next attempt
     * @param progressReports how often the agent reported progress, for {@code completed}, {@code failed} and {@code attempt_failed}; absent if it did not
     * @param truncated true if task, result or error are left out because the event would have been too large; otherwise absent
     */
    public record Change(
            @JsonProperty("attempt") Integer attempt,
            @JsonProperty("priority") @Nullable Priority priority,
            @JsonProperty("task") @Nullable Task task,
            @JsonProperty("agent_id") @Nullable String agentId,
            @JsonProperty("assigned_at") @Nullable Instant assignedAt,
            @JsonProperty("result") @Nullable JsonNode result,
            @JsonProperty("started_at") @Nullable Instant startedAt,
            @JsonProperty("finished_at") @Nullable Instant finishedAt,
            @JsonProperty("reason") @Nullable String reason,
            @JsonProperty("error") @Nullable JsonNode error,
            @JsonProperty("next_attempt") @Nullable Integer nextAttempt,
            @JsonProperty("not_before") @Nullable Instant notBefore,
            @JsonProperty("progress_reports") @Nullable Integer progressReports,
            @JsonProperty("truncated") @Nullable Boolean truncated) {
        public Change {
            Checks.required("data.attempt", attempt);
        }

        private static Change of(int attempt) {
            return new Change(attempt, null, null, null, null, null, null, null, null, null, null, null, null, null);
        }

        private static Change of(int attempt, @Nullable Priority priority, @Nullable Task task) {
            return new Change(
                    attempt, priority, task, null, null, null, null, null, null, null, null, null, null, null);
        }

        private Change of(@Nullable String agentId, @Nullable Instant assignedAt) {
            return new Change(
                    attempt, priority, task, agentId, assignedAt, null, null, null, null, null, null, null, null, null);
        }

        private Change because(String reason, JsonNode error, @Nullable Task next) {
            return new Change(
                    attempt,
                    priority,
                    task,
                    agentId,
                    assignedAt,
                    null,
                    null,
                    null,
                    reason,
                    error,
                    next == null ? null : next.attempt(),
                    next == null ? null : next.notBefore(),
                    null,
                    null);
        }
    }

    private static TaskEvent of(Kind kind, String taskId, Instant time, Change change) {
        return new TaskEvent(
                SPEC_VERSION,
                taskId + ":" + change.attempt() + ":" + kind.wireName(),
                SOURCE,
                kind,
                taskId,
                time,
                DATA_TYPE,
                sequence(change.attempt(), kind),
                change);
    }

    private static String sequence(int attempt, Kind kind) {
        String number = String.valueOf(attempt * RANKS + kind.rank);
        return "0".repeat(SEQUENCE_DIGITS - number.length()) + number;
    }

    /** A task waits. */
    public static TaskEvent accepted(Task task, Priority priority) {
        return of(Kind.ACCEPTED, task.id(), task.acceptedAt(), Change.of(task.attempt(), priority, task));
    }

    /** An agent has been given an attempt. The first one carries the task. */
    public static TaskEvent assigned(Task task, Priority priority, String agentId, Instant assignedAt) {
        return of(
                Kind.ASSIGNED,
                task.id(),
                assignedAt,
                Change.of(task.attempt(), priority, task.attempt() == 1 ? task : null)
                        .of(agentId, assignedAt));
    }

    /**
     * An attempt did not succeed.
     *
     * @param assignedAt null if unknown
     * @param next the task as it is requeued; null if it has failed permanently
     */
    public static TaskEvent failed(
            String taskId,
            int attempt,
            String agentId,
            @Nullable Instant assignedAt,
            String reason,
            JsonNode error,
            @Nullable Task next,
            Instant time) {
        return of(
                next == null ? Kind.FAILED : Kind.ATTEMPT_FAILED,
                taskId,
                time,
                Change.of(attempt).of(agentId, assignedAt).because(reason, error, next));
    }

    /** A waiting task failed, because its record is gone. */
    public static TaskEvent recordLost(String taskId, int attempt, JsonNode error, Instant time) {
        return of(Kind.FAILED, taskId, time, Change.of(attempt).because("record_lost", error, null));
    }

    /** A waiting task failed, because it uses more than a limit can give. */
    public static TaskEvent overLimit(String taskId, int attempt, JsonNode error, Instant time) {
        return of(Kind.FAILED, taskId, time, Change.of(attempt).because("over_limit", error, null));
    }

    /** An attempt succeeded. */
    public static TaskEvent completed(TaskResult result, Instant time) {
        return of(
                Kind.COMPLETED,
                result.taskId(),
                time,
                new Change(
                        result.attempt(),
                        null,
                        null,
                        result.agentId(),
                        null,
                        result.result(),
                        result.startedAt(),
                        result.finishedAt(),
                        null,
                        null,
                        null,
                        null,
                        null,
                        null));
    }

    /** @param agentId the agent that had the attempt; null if none had */
    public static TaskEvent cancelled(String taskId, int attempt, @Nullable String agentId, Instant time) {
        return of(Kind.CANCELLED, taskId, time, Change.of(attempt).of(agentId, null));
    }

    /** A task was not assigned in time. */
    public static TaskEvent expired(String taskId, int attempt, Instant time) {
        return of(Kind.EXPIRED, taskId, time, Change.of(attempt));
    }

    /** A failed task was requeued. */
    public static TaskEvent redriven(String taskId, int attempt, Priority priority, Instant time) {
        return of(Kind.REDRIVEN, taskId, time, Change.of(attempt, priority, null));
    }

    /** A copy without what may be large. */
    public TaskEvent truncate() {
        return with(new Change(
                change.attempt,
                change.priority,
                null,
                change.agentId,
                change.assignedAt,
                null,
                change.startedAt,
                change.finishedAt,
                change.reason,
                null,
                change.nextAttempt,
                change.notBefore,
                change.progressReports,
                true));
    }

    /** A copy that says how often the agent reported progress. */
    public TaskEvent withProgressReports(int number) {
        return number == 0
                ? this
                : with(new Change(
                        change.attempt,
                        change.priority,
                        change.task,
                        change.agentId,
                        change.assignedAt,
                        change.result,
                        change.startedAt,
                        change.finishedAt,
                        change.reason,
                        change.error,
                        change.nextAttempt,
                        change.notBefore,
                        number,
                        change.truncated));
    }

    private TaskEvent with(Change changed) {
        return new TaskEvent(specversion, id, source, kind, taskId, time, contentType, sequence, changed);
    }
}

package io.aitbc.coordinator.history;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which tasks are asked for: those that meet all conditions. Pure.
 *
 * @param statuses any of these; empty for all
 * @param priorities any of these; empty for all
 * @param agentId has or had an attempt
 * @param agentType required by the task
 * @param capability required by the task, as it stands there
 * @param taskType the task's {@code task_data.task_type}
 * @param labels all of these
 * @param submittedAfter at this time or later
 * @param submittedBefore before this time
 * @param finishedAfter at this time or later
 * @param finishedBefore before this time
 * @param minDuration of the last attempt; it has ended
 * @param reasons why the task failed, any of {@link #REASONS}; empty for any
 * @param error words in the last error; {@code "…"} for a phrase, {@code -} before what must not occur
 * @param idPrefix the beginning of the id
 */
@JsonIgnoreProperties("empty")
public record TaskFilter(
        List<TaskStatus> statuses,
        List<Priority> priorities,
        @Nullable String agentId,
        @Nullable String agentType,
        @Nullable String capability,
        @Nullable String taskType,
        @Nullable String fairnessKey,
        Map<String, String> labels,
        @Nullable Instant submittedAfter,
        @Nullable Instant submittedBefore,
        @Nullable Instant finishedAfter,
        @Nullable Instant finishedBefore,
        @Nullable Duration minDuration,
        List<String> reasons,
        @Nullable String error,
        @Nullable String idPrefix) {

    /** Why a task can fail. */
    public static final List<String> REASONS =
            List.of("failed", "rejected", "overdue", "agent_lost", "over_limit", "payload_lost", "record_lost");

    public TaskFilter {
        // Absent from a bulk operation of an earlier version.
        reasons = reasons == null ? List.of() : reasons;
    }

    /** Whether every task meets it. */
    public boolean isEmpty() {
        return equals(new TaskFilter(
                List.of(), List.of(), null, null, null, null, null, Map.of(), null, null, null, null, null, List.of(),
                null, null));
    }

    /** A copy for tasks with these states that were submitted, and have ended, before a time; null for any. */
    public TaskFilter restrictedTo(
            List<TaskStatus> states, @Nullable Instant beforeSubmission, @Nullable Instant beforeEnd) {
        return new TaskFilter(
                states,
                priorities,
                agentId,
                agentType,
                capability,
                taskType,
                fairnessKey,
                labels,
                submittedAfter,
                earlier(submittedBefore, beforeSubmission),
                finishedAfter,
                earlier(finishedBefore, beforeEnd),
                minDuration,
                reasons,
                error,
                idPrefix);
    }

    private static @Nullable Instant earlier(@Nullable Instant one, @Nullable Instant other) {
        return one == null || other != null && other.isBefore(one) ? other : one;
    }

    /** What separates words in an error, but for the operators of a search: quotes, and a minus before a word. */
    private static final Pattern NO_WORD = Pattern.compile("(?!\"|(?<=^|\\s)-(?=[\\p{L}\\p{N}\"]))[^\\p{L}\\p{N}\\s]");

    /** A condition in SQL, with named parameters. */
    record Condition(String sql, Map<String, Object> parameters) {}

    /** The order of a list, and the column by which it is paged. */
    public enum Sort {
        SUBMITTED("submitted_at", false),
        SUBMITTED_DESCENDING("submitted_at", true),
        FINISHED("finished_at", false),
        FINISHED_DESCENDING("finished_at", true);

        private final String column;
        private final boolean descending;

        Sort(String column, boolean descending) {
            this.column = column;
            this.descending = descending;
        }

        /** Such as {@code -submitted_at}, which lists the newest first. */
        public String wireName() {
            return (descending ? "-" : "") + column;
        }

        /** @throws IllegalArgumentException naming the choices */
        public static Sort parse(String text) {
            for (Sort sort : values()) {
                if (sort.wireName().equals(text)) {
                    return sort;
                }
            }
            throw new IllegalArgumentException("sort must be submitted_at, -submitted_at, finished_at or -finished_at");
        }

        String column() {
            return column;
        }

        String order() {
            String direction = descending ? " DESC" : "";
            return column + direction + ", task_id" + direction;
        }

        /** What comes behind the parameters {@code cursor_time} and {@code cursor_id}. */
        String behind() {
            return "(" + column + ", task_id) " + (descending ? "<" : ">") + " (:cursor_time, :cursor_id)";
        }
    }

    Condition condition(Sort sort) {
        List<String> all = new ArrayList<>();
        Map<String, Object> parameters = new HashMap<>();
        // Tasks whose submission is not known yet, or that have not ended, have no place in the order.
        all.add(sort.column() + " IS NOT NULL");
        if (!statuses.isEmpty()) {
            all.add(statuses.size() == 1 ? "status = :status" : "status IN (:status)");
            parameters.put(
                    "status",
                    statuses.size() == 1
                            ? statuses.get(0).wireName()
                            : statuses.stream().map(TaskStatus::wireName).toList());
        }
        if (!priorities.isEmpty()) {
            all.add("priority IN (:priority)");
            parameters.put(
                    "priority", priorities.stream().map(Priority::wireName).toList());
        }
        add("agents @> ARRAY[:agent]::text[]", "agent", agentId, all, parameters);
        add("agent_type = :agent_type", "agent_type", agentType, all, parameters);
        add("capabilities @> ARRAY[:capability]::text[]", "capability", capability, all, parameters);
        add("task_type = :task_type", "task_type", taskType, all, parameters);
        add("fairness_key = :fairness_key", "fairness_key", fairnessKey, all, parameters);
        if (!labels.isEmpty()) {
            all.add("labels @> ARRAY[:labels]::text[]");
            parameters.put(
                    "labels",
                    labels.entrySet().stream()
                            .map(label -> label.getKey() + "=" + label.getValue())
                            .toList());
        }
        addTime("submitted_at >= :submitted_after", "submitted_after", submittedAfter, all, parameters);
        addTime("submitted_at < :submitted_before", "submitted_before", submittedBefore, all, parameters);
        addTime("finished_at >= :finished_after", "finished_after", finishedAfter, all, parameters);
        addTime("finished_at < :finished_before", "finished_before", finishedBefore, all, parameters);
        if (submittedAfter != null) {
            // A task is kept with its first event, which comes after its submission, by clocks that differ a little.
            all.add("day >= :day");
            parameters.put(
                    "day", submittedAfter.atOffset(ZoneOffset.UTC).toLocalDate().minusDays(1));
        }
        if (minDuration != null) {
            // Others may have waited after an attempt that failed.
            all.add("status IN ('completed', 'failed') AND finished_at - assigned_at >= :min_ms * interval '1 ms'");
            parameters.put("min_ms", minDuration.toMillis());
        }
        if (!reasons.isEmpty()) {
            // Others may have had an attempt that failed.
            all.add("status = 'failed' AND reason IN (:reason)");
            parameters.put("reason", reasons);
        }
        add(
                "error_words @@ websearch_to_tsquery('simple', :error)",
                "error",
                error == null ? null : NO_WORD.matcher(error).replaceAll(" "),
                all,
                parameters);
        if (error != null) {
            // For the index, which is partial.
            all.add("error IS NOT NULL");
        }
        if (idPrefix != null && !idPrefix.isEmpty()) {
            all.add("task_id >= :id_from AND task_id < :id_to");
            parameters.put("id_from", idPrefix);
            // Ids are ASCII, and their order is that of bytes.
            parameters.put("id_to", idPrefix + Character.MAX_VALUE);
        }
        return new Condition(String.join(" AND ", all), parameters);
    }

    private static void add(
            String sql, String name, @Nullable String value, List<String> all, Map<String, Object> parameters) {
        if (value != null) {
            all.add(sql);
            parameters.put(name, value);
        }
    }

    private static void addTime(
            String sql, String name, @Nullable Instant time, List<String> all, Map<String, Object> parameters) {
        if (time != null) {
            all.add(sql);
            parameters.put(name, time.atOffset(ZoneOffset.UTC));
        }
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import java.time.Instant;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link Backlog} has to know of a task whose turn is far.
 *
 * @param idHash hash code of the task's id
 * @param uses the names of the limits that it uses, as far as it says so
 * @param taskType of its data; null if it has none, or if it does not matter
 * @param key its fairness key; empty if it has none
 * @param waitingSince when it was first accepted
 * @param notBefore earliest time of assignment
 * @param expiresAt latest time of assignment
 */
public record TaskSummary(
        Position position,
        int idHash,
        Requirements requirements,
        Set<String> uses,
        @Nullable String taskType,
        String key,
        Instant waitingSince,
        @Nullable Instant notBefore,
        @Nullable Instant expiresAt) {
    /** Without its task type. */
    public static TaskSummary of(WaitingTask waiting) {
        return of(waiting, false);
    }

    /** @param taskType whether it matters */
    public static TaskSummary of(WaitingTask waiting, boolean taskType) {
        Task task = waiting.task();
        return new TaskSummary(
                waiting.position(),
                waiting.id().hashCode(),
                task.requirements(),
                task.uses().keySet(),
                taskType ? task.taskType() : null,
                FairShares.key(task),
                waiting.waitingSince(),
                task.notBefore(),
                task.expiresAt());
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link Backlog} has to know of a task whose turn is far.
 *
 * @param idHash hash code of the task's id
 * @param key its fairness key; empty if it has none
 * @param waitingSince when it was first accepted
 * @param notBefore earliest time of assignment
 * @param expiresAt latest time of assignment
 */
public record TaskSummary(
        Position position,
        int idHash,
        Requirements requirements,
        String key,
        Instant waitingSince,
        @Nullable Instant notBefore,
        @Nullable Instant expiresAt) {
    public static TaskSummary of(WaitingTask waiting) {
        Task task = waiting.task();
        return new TaskSummary(
                waiting.position(),
                waiting.id().hashCode(),
                task.requirements(),
                FairShares.key(task),
                waiting.waitingSince(),
                task.notBefore(),
                task.expiresAt());
    }
}

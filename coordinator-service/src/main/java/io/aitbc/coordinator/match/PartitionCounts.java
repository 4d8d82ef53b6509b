package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.Arrays;
import java.util.function.Predicate;

/** Counts of tasks per partition. */
final class PartitionCounts {
    /** By priority, then by partition. */
    private final int[][] counts = new int[Priority.values().length][0];

    void add(Position position) {
        int priority = position.priority().ordinal();
        if (position.partition() >= counts[priority].length) {
            counts[priority] = Arrays.copyOf(counts[priority], position.partition() + 1);
        }
        counts[priority][position.partition()]++;
    }

    /** Removes a task that was added before. */
    void remove(Position position) {
        counts[position.priority().ordinal()][position.partition()]--;
    }

    /** Wraps a condition for use in a removal: tasks that match are subtracted from the counts. */
    Predicate<WaitingTask> without(Predicate<WaitingTask> condition) {
        return task -> {
            boolean leaves = condition.test(task);
            if (leaves) {
                remove(task.position());
            }
            return leaves;
        };
    }

    int of(Priority priority) {
        return Arrays.stream(counts[priority.ordinal()]).sum();
    }

    int of(Priority priority, int partition) {
        int[] ofPriority = counts[priority.ordinal()];
        return partition < ofPriority.length ? ofPriority[partition] : 0;
    }
}

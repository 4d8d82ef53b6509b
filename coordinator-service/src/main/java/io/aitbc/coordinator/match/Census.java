package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.Arrays;
import java.util.function.Predicate;

/** How many of some tasks stand in each partition. */
final class Census {
    /** By priority, then by partition. */
    private final int[][] counts = new int[Priority.values().length][0];

    void add(Position position) {
        int priority = position.priority().ordinal();
        if (position.partition() >= counts[priority].length) {
            counts[priority] = Arrays.copyOf(counts[priority], position.partition() + 1);
        }
        counts[priority][position.partition()]++;
    }

    /** Of one that was added. */
    void remove(Position position) {
        counts[position.priority().ordinal()][position.partition()]--;
    }

    /** The same condition, for a removal: those that meet it count no more. */
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

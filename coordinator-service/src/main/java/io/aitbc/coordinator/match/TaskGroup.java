package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Waiting tasks with equal conditions: an agent that can take one of them can take any. */
final class TaskGroup {
    private static final Duration BLOCKED_AFTER = Duration.ofSeconds(1);

    private static final Comparator<WaitingTask> BY_TURN = TaskGroup::byTurn;

    final Requirements requirements;
    /** The agents that suit it; set by {@link Pools}. */
    Pool pool;

    private final List<PriorityQueue<WaitingTask>> queues = new ArrayList<>();
    private final PartitionCounts partitionCounts = new PartitionCounts();
    /** Removed tasks that are still in their queues, because a removal from a queue costs time linear in its length. */
    private final Set<WaitingTask> removedTasks = Collections.newSetFromMap(new IdentityHashMap<>());

    private int size;
    /** Whether tasks were left over in the last round because no agent was open, or only agents left to others. */
    boolean hasUnplaced;
    /** When agents were last open to it. */
    private Instant lastOpenAt = Instant.EPOCH;

    @SuppressWarnings("NullAway.Init") // Pools sets the pool at once.
    TaskGroup(Requirements requirements) {
        this.requirements = requirements;
        for (int level = 0; level < Priority.values().length; level++) {
            queues.add(new PriorityQueue<>(BY_TURN));
        }
    }

    /** Written out instead of composed comparators, because it is called many times per task. */
    private static int byTurn(WaitingTask one, WaitingTask other) {
        int byTime = one.waitingSince().compareTo(other.waitingSince());
        if (byTime != 0) {
            return byTime;
        }
        int byPartition =
                Integer.compare(one.position().partition(), other.position().partition());
        return byPartition != 0
                ? byPartition
                : Long.compare(one.position().offset(), other.position().offset());
    }

    void add(WaitingTask waiting) {
        if (!removedTasks.remove(waiting)) {
            queues.get(waiting.position().priority().ordinal()).add(waiting);
        }
        partitionCounts.add(waiting.position());
        size++;
    }

    boolean isEmpty() {
        return size == 0;
    }

    /** Whether it has tasks, and agents that can take them. */
    boolean isReady(Instant now) {
        if (pool.open.isEmpty()) {
            return false;
        }
        lastOpenAt = now;
        return size > 0;
    }

    /** Whether no agent has been able to take its tasks for a second. Agents that are merely busy regain capacity shortly. */
    boolean isBlocked(Instant now) {
        if (now.isBefore(lastOpenAt)) {
            // The clock was set back.
            lastOpenAt = now;
        }
        return pool.open.isEmpty() && !now.isBefore(lastOpenAt.plus(BLOCKED_AFTER));
    }

    /** The next task: the longest-waiting one of the highest priority; null if none may be placed. */
    @Nullable
    Head nextHead(Set<Priority> paused) {
        for (PriorityQueue<WaitingTask> queue : queues) {
            WaitingTask head = first(queue);
            if (head != null && !paused.contains(head.position().priority())) {
                return new Head(this, head);
            }
        }
        return null;
    }

    /** The longest-waiting aged task of each priority that may be placed: at most one per queue, however many wait. */
    List<Head> aged(Aging aging, Instant now, Set<Priority> paused) {
        List<Head> aged = new ArrayList<>(0);
        for (PriorityQueue<WaitingTask> queue : queues) {
            WaitingTask head = first(queue);
            if (head != null && !paused.contains(head.position().priority()) && aging.isAged(head, now)) {
                aged.add(new Head(this, head));
            }
        }
        return aged;
    }

    void take(Head head) {
        queues.get(head.task.position().priority().ordinal()).poll();
        partitionCounts.remove(head.task.position());
        size--;
    }

    /** Removes a waiting task, wherever it is in its queue. */
    void markRemoved(WaitingTask task) {
        removedTasks.add(task);
        partitionCounts.remove(task.position());
        size--;
        // Rare enough that the amortised cost is small.
        if (removedTasks.size() > size) {
            purgeRemoved();
        }
    }

    private void purgeRemoved() {
        if (!removedTasks.isEmpty()) {
            queues.forEach(queue -> queue.removeIf(removedTasks::contains));
            removedTasks.clear();
        }
    }

    private @Nullable WaitingTask first(PriorityQueue<WaitingTask> queue) {
        while (!queue.isEmpty() && removedTasks.remove(queue.peek())) {
            queue.poll();
        }
        return queue.peek();
    }

    /** The number of its tasks in a partition. */
    int waitingIn(Priority priority, int partition) {
        return partitionCounts.of(priority, partition);
    }

    void removeIf(Predicate<WaitingTask> condition) {
        purgeRemoved();
        size = 0;
        for (PriorityQueue<WaitingTask> queue : queues) {
            queue.removeIf(partitionCounts.without(condition));
            size += queue.size();
        }
    }

    @Nullable
    WaitingTask head(Priority priority) {
        return first(queues.get(priority.ordinal()));
    }

    /** An upper bound on the number of its tasks of a priority. */
    int maxTasks(int level) {
        return queues.get(level).size();
    }

    /** The head of one of a group's queues. */
    record Head(TaskGroup group, WaitingTask task) implements Comparable<Head> {
        static final Comparator<Head> BY_WAITING =
                Comparator.comparing(Head::task, BY_TURN).thenComparingInt(Head::level);

        int level() {
            return task.level();
        }

        /** False once the head has been placed or removed. */
        boolean isCurrent() {
            return group.head(task.position().priority()) == task;
        }

        @Override
        public int compareTo(Head other) {
            int byLevel = Integer.compare(level(), other.level());
            return byLevel != 0 ? byLevel : BY_TURN.compare(task, other.task);
        }
    }
}

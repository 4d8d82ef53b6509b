package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import java.time.Instant;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Waiting tasks, grouped by their requirements. Tasks that start later are kept apart until they are due. */
public final class Backlog {
    /** Above this many groups, empty ones are evicted. */
    private static final int MAX_GROUPS_KEPT = 256;

    private final Map<Conditions, TaskGroup> groups = new HashMap<>();
    /** Most tasks have the same requirements as the previous one, or none: this saves the lookup. */
    private @Nullable Requirements lastRequired;

    private @Nullable TaskGroup last;

    private final Map<Position, WaitingTask> waiting = new HashMap<>();
    private final PriorityQueue<WaitingTask> scheduledTasks = new PriorityQueue<>(WaitingTask.BY_START);
    private final PartitionCounts scheduledCounts = new PartitionCounts();
    /** The waiting tasks that have an expiry time. */
    private final TreeSet<WaitingTask> byExpiry = new TreeSet<>(WaitingTask.BY_EXPIRY);

    private final Function<Requirements, TaskGroup> newGroup;
    private final Consumer<TaskGroup> forgotten;

    Backlog(Function<Requirements, TaskGroup> newGroup, Consumer<TaskGroup> forgotten) {
        this.newGroup = newGroup;
        this.forgotten = forgotten;
    }

    /**
     * Adds a task, or puts back one whose placement was rejected; its turn depends on how long it has waited. A task that already
     * waits is left unchanged: its partition was lost and regained while it was being reserved.
     */
    public void add(WaitingTask task, Instant now) {
        if (waiting.putIfAbsent(task.position(), task) != null) {
            return;
        }
        if (task.hasExpiry()) {
            byExpiry.add(task);
        }
        if (task.startsAfter(now)) {
            scheduledTasks.add(task);
            scheduledCounts.add(task.position());
        } else {
            enqueue(task);
        }
    }

    /** Removes and returns the tasks that have waited past their {@code expires_at}. */
    public List<WaitingTask> takeExpired(Instant now) {
        Set<WaitingTask> expired = Collections.newSetFromMap(new IdentityHashMap<>());
        while (!byExpiry.isEmpty() && byExpiry.first().expiredBy(now)) {
            expired.add(byExpiry.pollFirst());
        }
        if (!expired.isEmpty()) {
            takeIf(expired::contains);
        }
        return List.copyOf(expired);
    }

    /** Removes and returns all tasks that match a condition, at a cost linear in all waiting tasks. */
    public List<WaitingTask> takeIf(Predicate<WaitingTask> condition) {
        List<WaitingTask> taken = waiting.values().stream().filter(condition).toList();
        if (!taken.isEmpty()) {
            taken.forEach(task -> waiting.remove(task.position()));
            scheduledTasks.removeIf(scheduledCounts.without(condition));
            byExpiry.removeIf(condition);
            groups.values().forEach(group -> group.removeIf(condition));
        }
        return taken;
    }

    /** Removes waiting tasks, at a cost linear in their number only, unless some have a start time. */
    public void take(Collection<WaitingTask> tasks) {
        Set<WaitingTask> timed = Collections.newSetFromMap(new IdentityHashMap<>());
        tasks.stream().filter(WaitingTask::hasStart).forEach(timed::add);
        if (!timed.isEmpty()) {
            // Removes those not yet due from the set; the rest are due and in their groups.
            scheduledTasks.removeIf(scheduledCounts.without(timed::remove));
        }
        for (WaitingTask task : tasks) {
            waiting.remove(task.position());
            if (task.hasExpiry()) {
                byExpiry.remove(task);
            }
            if (!task.hasStart() || timed.contains(task)) {
                Objects.requireNonNull(groups.get(Conditions.of(task.task().requirements())))
                        .markRemoved(task);
            }
        }
    }

    /** The waiting task at a position, or null. */
    public @Nullable WaitingTask at(Position position) {
        return waiting.get(position);
    }

    /** Whether the task is blocked: no agent could take it for a while, or it is not due yet. */
    public boolean isBlocked(WaitingTask task, Instant now) {
        if (task.startsAfter(now)) {
            return true;
        }
        TaskGroup group = groups.get(Conditions.of(task.task().requirements()));
        return group == null || group.isBlocked(now);
    }

    /** Whether any task is blocked. */
    public boolean hasBlocked(Instant now) {
        return !scheduledTasks.isEmpty()
                || groups.values().stream().anyMatch(group -> !group.isEmpty() && group.isBlocked(now));
    }

    /** The number of blocked tasks in a partition: no agent could take them for a while, or they are not due yet. */
    public int blockedIn(Priority priority, int partition, Instant now) {
        int blocked = scheduledCounts.of(priority, partition);
        for (TaskGroup group : groups.values()) {
            if (group.isBlocked(now)) {
                blocked += group.waitingIn(priority, partition);
            }
        }
        return blocked;
    }

    /** All waiting tasks, in no particular order. */
    public Collection<WaitingTask> all() {
        return List.copyOf(waiting.values());
    }

    public int size() {
        return waiting.size();
    }

    /** The number of tasks of a priority that are not due yet. */
    public int scheduled(Priority priority) {
        return scheduledCounts.of(priority);
    }

    /** The longest-waiting task of a priority that is due; null if there is none. */
    public @Nullable WaitingTask oldest(Priority priority) {
        WaitingTask oldest = null;
        for (TaskGroup group : groups.values()) {
            WaitingTask head = group.head(priority);
            if (head != null && (oldest == null || head.waitingSince().isBefore(oldest.waitingSince()))) {
                oldest = head;
            }
        }
        return oldest;
    }

    /** Moves tasks that have become due into their groups. */
    void admitDue(Instant now) {
        while (!scheduledTasks.isEmpty() && !scheduledTasks.peek().startsAfter(now)) {
            WaitingTask due = scheduledTasks.poll();
            scheduledCounts.remove(due.position());
            enqueue(due);
        }
    }

    void take(TaskGroup.Head head) {
        WaitingTask task = head.task();
        head.group().take(head);
        waiting.remove(task.position());
        if (task.hasExpiry()) {
            byExpiry.remove(task);
        }
    }

    Collection<TaskGroup> groups() {
        return groups.values();
    }

    /** The {@link Requirements#conditions} as a key, without repeating validation that has already been done. */
    record Conditions(
            @Nullable String agentType,
            List<String> capabilities,
            List<String> services,
            List<String> tags,
            @Nullable Double minHealthScore,
            @Nullable String region,
            @Nullable String agentId,
            @Nullable String chainId) {
        static Conditions of(Requirements requirements) {
            return new Conditions(
                    requirements.agentType(),
                    requirements.capabilities(),
                    requirements.services(),
                    requirements.tags(),
                    requirements.minHealthScore(),
                    requirements.region(),
                    requirements.agentId(),
                    requirements.chainId());
        }
    }

    private void enqueue(WaitingTask task) {
        Requirements requirements = task.task().requirements();
        if (last == null || lastRequired != requirements) {
            Conditions conditions = Conditions.of(requirements);
            if (groups.size() > MAX_GROUPS_KEPT && !groups.containsKey(conditions)) {
                forgetIdleGroups();
            }
            last = groups.computeIfAbsent(conditions, unknown -> newGroup.apply(requirements.conditions()));
            lastRequired = requirements;
        }
        last.add(task);
    }

    private void forgetIdleGroups() {
        last = null;
        groups.values().removeIf(group -> {
            if (group.isEmpty()) {
                forgotten.accept(group);
            }
            return group.isEmpty();
        });
    }
}

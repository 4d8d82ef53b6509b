package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Waiting tasks, grouped by their requirements, priorities and fairness keys. Tasks that start later are kept apart until they are due. Of a task whose turn is far, only
 * an entry of 40 bytes is in memory; its payload has to be read again from Kafka when its turn comes near, see {@link #wanted}.
 */
public final class Backlog {
    /** Above this many groups, empty ones are evicted. */
    private static final int MAX_GROUPS_KEPT = 256;
    /** The most tasks of a group and a priority that are brought near at a time: a few batches. */
    private static final int MAX_NEAR = 4_096;
    /** Bytes of a group and its queues, with the lists of its requirements. */
    private static final long GROUP_HEAP = 2_000;
    /** Queues of priorities and keys up to this number are not counted. */
    private static final int MAX_QUEUES_KEPT = 4 * MAX_GROUPS_KEPT;
    /** Bytes of the queue of one fairness key, with its places in the orders. */
    private static final long KEY_HEAP = 700;
    /** Removed entries are dropped from the queues once they are this many, and as many as those that wait. */
    private static final int MIN_PURGED = 1_024;
    /** In a backlog of fewer tasks, all entries can be looked at every second. */
    private static final int SMALL = 100_000;
    /** In a larger one, at most a tenth of the entries are removed ones. */
    private static final int TIDY_SHARE = 10;

    private final Map<Conditions, TaskGroup> groups = new HashMap<>();
    /** With more groups than these, empty ones are searched for. */
    private int groupsBeforeScan = MAX_GROUPS_KEPT;
    /** Most tasks have the same requirements as the previous one, or none: this saves the lookup. */
    private @Nullable Requirements lastRequired;

    private List<String> lastLimits = List.of();
    private @Nullable TaskGroup last;

    private final PositionSet waiting = new PositionSet();
    private final PriorityQueue<BacklogEntry.Timed> byStart = new PriorityQueue<>(BacklogEntry.Timed.BY_START);
    /** The waiting tasks that have an expiry time. */
    private final TreeSet<BacklogEntry.Timed> byExpiry = new TreeSet<>(BacklogEntry.Timed.BY_EXPIRY);
    /** Tasks whose turn has come, but whose payloads cannot be read, for example because their partition is offline. */
    private final Set<BacklogEntry> unreachable = new LinkedHashSet<>();

    private final Set<Integer> unreachablePartitions = new HashSet<>();
    /** Those of them whose payloads have not been requested yet. */
    private final List<BacklogEntry> unrequested = new ArrayList<>();
    /** By level: the tasks that are not due yet. */
    private final int[] scheduled = new int[Priority.values().length];

    private final Limits limits = new Limits();
    private final FairShares shares;
    private final Function<Requirements, TaskGroup> newGroup;
    private final Consumer<TaskGroup> forgotten;
    private final long payloadMemory;
    /** Estimated heap usage of the payloads. */
    private long payloadHeap;

    private int payloads;
    /** The number of waiting tasks with times. */
    private long timed;
    /** Removed entries that are still in a queue. */
    private int removed;

    /** @param payloadMemory heap bytes for payloads; exceeded if the next task of each queue takes more */
    Backlog(
            BiFunction<Requirements, FairShares, TaskGroup> newGroup,
            Consumer<TaskGroup> forgotten,
            FairShares shares,
            long payloadMemory) {
        this.shares = shares;
        this.newGroup = requirements -> newGroup.apply(requirements, shares);
        this.forgotten = forgotten;
        this.payloadMemory = payloadMemory;
    }

    /**
     * Adds a task, or puts back one whose placement was rejected; its turn depends on how long it has waited. A task that already
     * waits is left unchanged: its partition was lost and regained while it was being reserved.
     *
     * @return its entry; null if the task already waits
     */
    public @Nullable BacklogEntry add(WaitingTask task, Instant now) {
        return add(summary(task), task, now);
    }

    private TaskSummary summary(WaitingTask task) {
        return TaskSummary.of(task, limits.book().readsTaskType());
    }

    /** Sets the places of the key of a task after its tags have decreased. */
    void replace(WaitingTask task) {
        TaskGroup group = group(summary(task));
        if (group != null) {
            group.replace(FairShares.key(task.task()));
        }
    }

    private @Nullable TaskGroup group(TaskSummary task) {
        return groups.get(Conditions.of(task.requirements(), limits.names(task)));
    }

    Limits limits() {
        return limits;
    }

    /** Adds a task without its payload, which is read again before its turn. */
    public void add(TaskSummary task, Instant now) {
        add(task, null, now);
    }

    private @Nullable BacklogEntry add(TaskSummary summary, @Nullable WaitingTask task, Instant now) {
        if (!waiting.add(summary.position())) {
            return null;
        }
        List<String> names = limits.names(summary);
        BacklogEntry entry = BacklogEntry.of(summary, names);
        boolean hasRoom = hasRoom();
        if (task != null) {
            load(entry, task);
        }
        if (entry instanceof BacklogEntry.Timed hasTimes) {
            timed++;
            if (hasTimes.canExpire()) {
                byExpiry.add(hasTimes);
            }
            if (hasTimes.startsAfter(now)) {
                byStart.add(hasTimes);
                hasTimes.isScheduled = true;
                scheduled[entry.level()]++;
                if (!hasRoom) {
                    unload(entry);
                }
                return entry;
            }
        }
        enqueue(entry, summary.requirements(), names, summary.key(), hasRoom);
        return entry;
    }

    private void load(BacklogEntry entry, WaitingTask task) {
        entry.task = task;
        payloadHeap += task.heap();
        payloads++;
    }

    private void unload(BacklogEntry entry) {
        release(entry);
        entry.task = null;
    }

    private void release(BacklogEntry entry) {
        if (entry.task != null) {
            payloadHeap -= entry.task.heap();
            payloads--;
        }
    }

    /** Estimated heap usage of the payloads in bytes. */
    long payloadHeap() {
        return payloadHeap;
    }

    /** Whether payloads of further tasks are kept. */
    public boolean hasRoom() {
        return payloadHeap < payloadMemory;
    }

    /** Whether the payload of a task would be kept: there is room, and no task of its queue waits without one. */
    public boolean wouldKeepPayload(TaskSummary task) {
        if (!hasRoom()) {
            return false;
        }
        TaskGroup group = group(task);
        return group == null || !group.lacksPayloads(task.position().priority().ordinal(), task.key());
    }

    /** The number of tasks whose payloads are not in memory. */
    public int withoutPayload() {
        return size() - payloads;
    }

    /**
     * Accepts a payload that was requested.
     *
     * @return whether it is kept; not if the entry has left the backlog, or its turn is no longer near
     */
    public boolean accept(BacklogEntry entry, WaitingTask task) {
        if (entry.isRemoved() || !entry.isNear() || entry.task != null) {
            return false;
        }
        load(entry, task);
        unreachablePartitions.remove(entry.partitionKey());
        if (unreachable.remove(entry)) {
            entry.setNear(false);
            enqueue(entry, task.task().requirements(), limits.names(summary(task)), FairShares.key(task.task()), true);
        }
        return entry.task != null;
    }

    /** Whether its payload, or others of its partition, have not come for long. */
    public boolean isUnreachable(BacklogEntry entry) {
        return unreachablePartitions.contains(entry.partitionKey()) || unreachable.contains(entry);
    }

    /**
     * Takes a head out of its queue whose payload has not come for long, so that others get their turn. It is put back when it comes. Further heads
     * of its partition are not waited for until a payload comes from there.
     */
    void passOver(TaskGroup.Head head) {
        head.group().take(head);
        unreachable.add(head.entry());
        unreachablePartitions.add(head.entry().partitionKey());
        if (!head.entry().isNear()) {
            head.entry().setNear(true);
            unrequested.add(head.entry());
        }
    }

    /**
     * Brings the next tasks near, and returns those whose payloads have to be requested; {@link #accept} takes them. Each queue of a group that
     * agents suit has an equal share of the memory for payloads, and at least one task. The payloads of others make room for them.
     *
     * @param paused queues whose tasks are not needed
     */
    public List<BacklogEntry> wanted(Set<Priority> paused) {
        if (withoutPayload() == 0) {
            return List.of();
        }
        List<BacklogEntry> wanted = new ArrayList<>(unrequested);
        unrequested.clear();
        List<LevelQueue> served = new ArrayList<>();
        for (TaskGroup group : groups.values()) {
            if (group.isServed()) {
                group.addWaiting(paused, served);
            }
        }
        long average = payloads == 0 ? WaitingTask.TYPICAL_HEAP : Math.max(1, payloadHeap / payloads);
        int share = (int) Math.max(1, Math.min(MAX_NEAR, payloadMemory / average / Math.max(1, served.size())));
        if (payloadHeap > payloadMemory) {
            // Payloads came that are larger than those before.
            makeRoom(share);
        }
        for (LevelQueue queue : served) {
            queue.promote(share);
            queue.takeUnrequested(wanted);
        }
        if (!wanted.isEmpty() && payloadHeap + wanted.size() * average > payloadMemory) {
            makeRoom(share);
        }
        return wanted;
    }

    private void makeRoom(int share) {
        for (BacklogEntry entry : byStart) {
            if (!entry.isRemoved()) {
                unload(entry);
            }
        }
        for (TaskGroup group : groups.values()) {
            group.demote(group.isServed() ? share : 0, this::unload);
        }
    }

    /** Removes and returns the tasks that have waited past their {@code expires_at}. */
    public List<BacklogEntry> takeExpired(Instant now) {
        List<BacklogEntry> expired = new ArrayList<>();
        while (!byExpiry.isEmpty() && byExpiry.first().hasExpiredBy(now)) {
            BacklogEntry entry = byExpiry.first();
            remove(entry);
            expired.add(entry);
        }
        return expired;
    }

    /** Removes and returns all tasks that match a condition, at a cost linear in all waiting tasks. */
    public List<BacklogEntry> takeIf(Predicate<BacklogEntry> condition) {
        List<BacklogEntry> taken = find(condition);
        taken.forEach(this::remove);
        return taken;
    }

    /** All tasks that match a condition, in no particular order, at a cost linear in all waiting tasks. */
    public List<BacklogEntry> find(Predicate<BacklogEntry> condition) {
        List<BacklogEntry> found = new ArrayList<>();
        Consumer<BacklogEntry> keep = entry -> {
            if (!entry.isRemoved() && condition.test(entry)) {
                found.add(entry);
            }
        };
        groups.values().forEach(group -> group.forEach(keep));
        byStart.forEach(keep);
        unreachable.forEach(keep);
        return found;
    }

    /** Removes a waiting task; its payload, if there is one, remains in the entry. */
    public void remove(BacklogEntry entry) {
        if (!entry.isRemoved()) {
            leave(entry);
            if (entry instanceof BacklogEntry.Timed timed && timed.isScheduled) {
                scheduled[entry.level()]--;
            }
            // A search in its queue would cost time linear in the queue's length.
            removed++;
            if (removed > MIN_PURGED && removed > size()) {
                purge();
            }
        }
    }

    /** Drops removed entries unless they are few among many, so that the sizes of queues are right, or nearly. */
    void tidy() {
        if (removed > 0 && (size() < SMALL || (long) TIDY_SHARE * removed > size())) {
            purge();
        }
    }

    private void purge() {
        groups.values().forEach(TaskGroup::purge);
        byStart.removeIf(BacklogEntry::isRemoved);
        removed = 0;
    }

    private void leave(BacklogEntry entry) {
        waiting.remove(entry.position());
        unreachable.remove(entry);
        if (unreachable.isEmpty()) {
            unreachablePartitions.clear();
        }
        if (entry instanceof BacklogEntry.Timed hasTimes) {
            timed--;
            if (hasTimes.canExpire()) {
                byExpiry.remove(hasTimes);
            }
        }
        release(entry);
        entry.markRemoved();
    }

    /** Whether a task waits at a position. */
    public boolean contains(Position position) {
        return waiting.contains(position);
    }

    public int size() {
        return waiting.size();
    }

    /** The memory of all entries, as a number of plain ones: those with times and further groups take more. */
    public long weight() {
        long more = timed * (BacklogEntry.TIMED_HEAP - BacklogEntry.HEAP)
                + Math.max(0, groups.size() - MAX_GROUPS_KEPT) * GROUP_HEAP
                + Math.max(0, shares.queues() - MAX_QUEUES_KEPT) * KEY_HEAP;
        return size() + more / BacklogEntry.HEAP;
    }

    /** The number of tasks of a priority that are not due yet. */
    public int scheduled(Priority priority) {
        return scheduled[priority.ordinal()];
    }

    /** The longest-waiting task of a priority that is due; null if there is none. */
    public @Nullable BacklogEntry oldest(Priority priority) {
        BacklogEntry oldest = null;
        for (TaskGroup group : groups.values()) {
            BacklogEntry head = group.oldest(priority.ordinal());
            if (head != null && (oldest == null || head.waitingSince().isBefore(oldest.waitingSince()))) {
                oldest = head;
            }
        }
        return oldest;
    }

    /** Moves tasks that have become due into their groups. */
    void admitDue(Instant now) {
        while (!byStart.isEmpty()
                && (byStart.peek().isRemoved() || !byStart.peek().startsAfter(now))) {
            BacklogEntry.Timed due = byStart.remove();
            if (!due.isRemoved()) {
                due.isScheduled = false;
                scheduled[due.level()]--;
                enqueue(due, due.requirements, due.limits, due.key, hasRoom());
            }
        }
    }

    void take(TaskGroup.Head head) {
        head.group().take(head);
        leave(head.entry());
    }

    Collection<TaskGroup> groups() {
        return groups.values();
    }

    /** The {@link Requirements#conditions} and the names of limits as a key, without repeating validation that has already been done. */
    record Conditions(
            @Nullable String agentType,
            List<String> capabilities,
            List<String> services,
            List<String> tags,
            @Nullable Double minHealthScore,
            @Nullable String region,
            @Nullable String agentId,
            @Nullable String chainId,
            Resources resources,
            List<String> limits) {
        static Conditions of(Requirements requirements, List<String> limits) {
            return new Conditions(
                    requirements.agentType(),
                    requirements.capabilities(),
                    requirements.services(),
                    requirements.tags(),
                    requirements.minHealthScore(),
                    requirements.region(),
                    requirements.agentId(),
                    requirements.chainId(),
                    requirements.resources(),
                    limits);
        }
    }

    private void enqueue(
            BacklogEntry entry, Requirements requirements, List<String> names, String key, boolean hasRoom) {
        if (last == null || lastRequired != requirements || !lastLimits.equals(names)) {
            Conditions conditions = Conditions.of(requirements, names);
            if (groups.size() > groupsBeforeScan && !groups.containsKey(conditions)) {
                forgetIdleGroups();
                groupsBeforeScan = Math.max(MAX_GROUPS_KEPT, 2 * groups.size());
            }
            last = groups.computeIfAbsent(conditions, unknown -> openGroup(requirements, names));
            lastRequired = requirements;
            lastLimits = names;
        }
        last.add(entry, key, hasRoom);
        if (entry.level() < last.keptBackLevel) {
            limits.reconsider(last);
        }
        if (!entry.isNear()) {
            unload(entry);
        }
    }

    private TaskGroup openGroup(Requirements requirements, List<String> names) {
        TaskGroup group = newGroup.apply(requirements.conditions());
        limits.open(group, names);
        return group;
    }

    private void forgetIdleGroups() {
        last = null;
        groups.values().removeIf(group -> {
            boolean isIdle = group.isEmpty();
            if (isIdle) {
                group.close();
                limits.close(group);
                forgotten.accept(group);
            }
            return isIdle;
        });
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Waiting tasks with equal conditions: an agent that can take one of them can take any. */
final class TaskGroup {
    /** How long agents are left free for a task whose payload has been requested. Kafka answers sooner, unless its partition is offline. */
    static final Duration MAX_PAYLOAD_WAIT = Duration.ofSeconds(1);

    private static final Priority[] PRIORITIES = Priority.values();

    final Requirements requirements;
    /** The agents that suit it; set by {@link Pools}. */
    Pool pool;

    /** The limits that its tasks use. */
    List<Gate> gates = List.of();
    /** The limit that keeps its next task back; null if none does. */
    @Nullable
    Gate keptBackBy;
    /** That task, and its level. */
    @Nullable
    BacklogEntry keptBack;

    int keptBackLevel;
    /** Whether its aged tasks are passed over in this round, because limits would keep them back. */
    boolean isAgedPassedOver;

    private final List<LevelQueue> queues;

    /** Whether tasks were left over in the last round because no agent was open, or only agents left to others. */
    boolean hasUnplaced;
    /** The next task, if it waits for its payload, and since when. */
    private @Nullable BacklogEntry awaited;

    private Instant awaitedSince = Instant.EPOCH;

    @SuppressWarnings("NullAway.Init") // Pools sets the pool at once.
    TaskGroup(Requirements requirements, FairShares shares) {
        this.requirements = requirements;
        this.queues = IntStream.range(0, Priority.values().length)
                .mapToObj(level -> new LevelQueue(shares, level))
                .toList();
    }

    /** @param hasRoom whether payloads of further tasks may be kept */
    void add(BacklogEntry entry, String key, boolean hasRoom) {
        queues.get(entry.level()).add(entry, key, hasRoom);
    }

    /** Gives up its queues, which are empty. */
    void close() {
        queues.forEach(LevelQueue::close);
    }

    boolean isEmpty() {
        for (LevelQueue queue : queues) {
            if (queue.first() != null) {
                return false;
            }
        }
        return true;
    }

    /** Whether any known agent suits it, in whatever state. */
    boolean isServed() {
        return !pool.members().isEmpty();
    }

    /** The next task: of the highest priority, the longest-waiting one of the key whose turn it is; null if none may be placed. */
    @Nullable
    Head nextHead(Set<Priority> paused) {
        for (int level = 0; level < queues.size(); level++) {
            Head head = head(queues.get(level), queues.get(level).first());
            if (head != null && !paused.contains(PRIORITIES[level])) {
                return head;
            }
        }
        return null;
    }

    /** The next task of the highest priority, though a limit keeps it back or its queue is paused; null if there is none. */
    @Nullable
    Head keptBackHead() {
        for (LevelQueue queue : queues) {
            KeyQueue first = queue.first();
            BacklogEntry head = first == null ? null : first.head();
            if (first != null && head != null) {
                return new Head(this, first, head, queue.hasOneKey());
            }
        }
        return null;
    }

    /** The next aged task of each priority that may be placed: at most one per queue, however many wait. */
    List<Head> aged(Predicate<BacklogEntry> isAged, Set<Priority> paused) {
        List<Head> aged = new ArrayList<>(0);
        for (int level = 1; level < queues.size(); level++) {
            Head head = paused.contains(PRIORITIES[level]) ? null : aged(level, isAged);
            if (head != null) {
                aged.add(head);
            }
        }
        return aged;
    }

    /** The next aged task of a priority: the longest-waiting one of the key whose turn it is in the aged share; null if there is none. */
    @Nullable
    Head aged(int level, Predicate<BacklogEntry> isAged) {
        return head(queues.get(level), queues.get(level).firstAged(isAged));
    }

    private @Nullable Head head(LevelQueue queue, @Nullable KeyQueue first) {
        BacklogEntry head = first == null ? null : first.head();
        return first == null || head == null || keptBackBy != null
                ? null
                : new Head(this, first, head, queue.hasOneKey());
    }

    /** Its tasks that may be placed; null if there are none. */
    @Nullable
    BlockedGroup blocked(Set<Priority> paused) {
        return blocked(paused, head -> true);
    }

    /**
     * Its tasks of certain priorities that may be placed; null if there are none.
     *
     * @param counts whether a priority counts, by its longest-waiting task
     */
    @Nullable
    BlockedGroup blocked(Set<Priority> paused, Predicate<BacklogEntry> counts) {
        int tasks = 0;
        Instant oldest = Instant.MAX;
        for (LevelQueue queue : queues) {
            BacklogEntry head = queue.oldest();
            if (head != null && !paused.contains(head.priority()) && counts.test(head)) {
                tasks += queue.maxSize();
                oldest = head.waitingSince().isBefore(oldest) ? head.waitingSince() : oldest;
            }
        }
        return tasks == 0 ? null : new BlockedGroup(requirements, tasks, oldest);
    }

    void take(Head head) {
        queues.get(head.level()).take(head.queue());
    }

    /** Whether agents are to be left free for its next task, whose payload is not in memory. */
    boolean awaitsPayload(Head next, Instant now) {
        if (awaited != next.entry || awaitedSince.isAfter(now)) {
            awaited = next.entry;
            awaitedSince = now;
        }
        return now.isBefore(awaitedSince.plus(MAX_PAYLOAD_WAIT));
    }

    boolean lacksPayloads(int level, String key) {
        return queues.get(level).lacksPayloads(key);
    }

    /** Adds the queues that are not paused and have tasks, also if all of these have been passed over. */
    void addWaiting(Set<Priority> paused, List<LevelQueue> waiting) {
        for (int level = 0; level < queues.size(); level++) {
            LevelQueue queue = queues.get(level);
            if ((queue.first() != null || queue.hasUnrequested()) && !paused.contains(PRIORITIES[level])) {
                waiting.add(queue);
            }
        }
    }

    /**
     * Puts off all but the next tasks.
     *
     * @param kept how many remain near, of each priority
     * @param unload drops the payload of an entry
     */
    void demote(int kept, Consumer<BacklogEntry> unload) {
        if (awaited != null && awaited.task != null) {
            // Its payload had come. If it is dropped, and awaited again, agents are left free for it again.
            awaited = null;
        }
        queues.forEach(queue -> queue.demote(kept, unload));
    }

    void replace(String key) {
        queues.forEach(queue -> queue.replace(key));
    }

    void replaceAll() {
        queues.forEach(LevelQueue::replaceAll);
    }

    /** Adds the shares of the keys with tasks of a priority, until there are more than can be reported. */
    void addShares(int level, Set<FairClock.Share> competing) {
        queues.get(level).addShares(competing);
    }

    /** Adds the keys with tasks to others. */
    void addKeys(Map<String, WaitingKey> keys) {
        queues.forEach(queue -> queue.addKeys(keys));
    }

    void forEach(Consumer<BacklogEntry> action) {
        queues.forEach(queue -> queue.forEach(action));
    }

    void purge() {
        queues.forEach(LevelQueue::purge);
    }

    /** The longest-waiting task of a priority; null if there is none. */
    @Nullable
    BacklogEntry oldest(int level) {
        return queues.get(level).oldest();
    }

    /** An upper bound on the number of its tasks of a priority. */
    int maxTasks(int level) {
        return queues.get(level).maxSize();
    }

    /**
     * The head of one of a group's queues.
     *
     * @param isSole whether no other key has tasks in that queue
     */
    record Head(TaskGroup group, KeyQueue queue, BacklogEntry entry, boolean isSole) {
        static final Comparator<Head> BY_WAITING =
                Comparator.comparing(Head::entry, BacklogEntry.BY_TURN).thenComparingInt(Head::level);

        /** By turn in the aged share, as it is now. */
        static final Comparator<Head> BY_AGED_TURN = Comparator.comparingDouble(
                        (Head head) -> head.queue.agedShare.start())
                .thenComparing(BY_WAITING);

        int level() {
            return entry.level();
        }

        boolean hasPayload() {
            return entry.task != null;
        }

        /** The task of a head that has its payload. */
        WaitingTask task() {
            return Objects.requireNonNull(entry.task);
        }

        /** False once the head has been placed or removed, or a limit keeps its group back. */
        boolean isCurrent() {
            return queue.head() == entry && group.keptBackBy == null;
        }
    }
}

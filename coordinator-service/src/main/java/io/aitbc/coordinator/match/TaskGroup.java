package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Waiting tasks with equal conditions: an agent that can take one of them can take any. */
final class TaskGroup {
    /** How long agents are left free for a task whose payload has been requested. Kafka answers sooner, unless its partition is offline. */
    static final Duration MAX_PAYLOAD_WAIT = Duration.ofSeconds(1);

    final Requirements requirements;
    /** The agents that suit it; set by {@link Pools}. */
    Pool pool;

    private final List<LevelQueue> queues =
            Stream.generate(LevelQueue::new).limit(Priority.values().length).toList();

    /** Whether tasks were left over in the last round because no agent was open, or only agents left to others. */
    boolean hasUnplaced;
    /** The next task, if it waits for its payload, and since when. */
    private @Nullable BacklogEntry awaited;

    private Instant awaitedSince = Instant.EPOCH;

    @SuppressWarnings("NullAway.Init") // Pools sets the pool at once.
    TaskGroup(Requirements requirements) {
        this.requirements = requirements;
    }

    /** @param hasRoom whether payloads of further tasks may be kept */
    void add(BacklogEntry entry, boolean hasRoom) {
        queues.get(entry.level()).add(entry, hasRoom);
    }

    boolean isEmpty() {
        for (LevelQueue queue : queues) {
            if (queue.head() != null) {
                return false;
            }
        }
        return true;
    }

    /** Whether any known agent suits it, in whatever state. */
    boolean isServed() {
        return !pool.members().isEmpty();
    }

    /** The next task: the longest-waiting one of the highest priority; null if none may be placed. */
    @Nullable
    Head nextHead(Set<Priority> paused) {
        for (LevelQueue queue : queues) {
            BacklogEntry head = queue.head();
            if (head != null && !paused.contains(head.priority())) {
                return new Head(this, head);
            }
        }
        return null;
    }

    /** The longest-waiting aged task of each priority that may be placed: at most one per queue, however many wait. */
    List<Head> aged(Aging aging, Instant now, Set<Priority> paused) {
        List<Head> aged = new ArrayList<>(0);
        for (LevelQueue queue : queues) {
            BacklogEntry head = queue.head();
            if (head != null && !paused.contains(head.priority()) && aging.isAged(head, now)) {
                aged.add(new Head(this, head));
            }
        }
        return aged;
    }

    /** Its tasks that may be placed; null if there are none. */
    @Nullable
    BlockedGroup blocked(Set<Priority> paused) {
        int tasks = 0;
        Instant oldest = Instant.MAX;
        for (LevelQueue queue : queues) {
            BacklogEntry head = queue.head();
            if (head != null && !paused.contains(head.priority())) {
                tasks += queue.maxSize();
                oldest = head.waitingSince().isBefore(oldest) ? head.waitingSince() : oldest;
            }
        }
        return tasks == 0 ? null : new BlockedGroup(requirements, tasks, oldest);
    }

    void take(Head head) {
        queues.get(head.level()).pollHead();
    }

    /** Whether agents are to be left free for its next task, whose payload is not in memory. */
    boolean awaitsPayload(Head next, Instant now) {
        if (awaited != next.entry || awaitedSince.isAfter(now)) {
            awaited = next.entry;
            awaitedSince = now;
        }
        return now.isBefore(awaitedSince.plus(MAX_PAYLOAD_WAIT));
    }

    boolean lacksPayloads(int level) {
        return queues.get(level).lacksPayloads();
    }

    /** Adds the queues that are not paused and have tasks, also if all of these have been passed over. */
    void addWaiting(Set<Priority> paused, List<LevelQueue> waiting) {
        for (int level = 0; level < queues.size(); level++) {
            LevelQueue queue = queues.get(level);
            if ((queue.head() != null || queue.lacksPayloads()) && !paused.contains(Priority.values()[level])) {
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

    void forEach(Consumer<BacklogEntry> action) {
        queues.forEach(queue -> queue.forEach(action));
    }

    void purge() {
        queues.forEach(LevelQueue::purge);
    }

    @Nullable
    BacklogEntry head(int level) {
        return queues.get(level).head();
    }

    /** An upper bound on the number of its tasks of a priority. */
    int maxTasks(int level) {
        return queues.get(level).maxSize();
    }

    /** The head of one of a group's queues. */
    record Head(TaskGroup group, BacklogEntry entry) implements Comparable<Head> {
        static final Comparator<Head> BY_WAITING =
                Comparator.comparing(Head::entry, BacklogEntry.BY_TURN).thenComparingInt(Head::level);

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

        /** False once the head has been placed or removed. */
        boolean isCurrent() {
            return group.head(level()) == entry;
        }

        @Override
        public int compareTo(Head other) {
            int byLevel = Integer.compare(level(), other.level());
            return byLevel != 0 ? byLevel : BacklogEntry.BY_TURN.compare(entry, other.entry);
        }
    }
}

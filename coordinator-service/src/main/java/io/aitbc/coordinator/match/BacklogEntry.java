package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A waiting task in a {@link Backlog}: 40 bytes, and its payload while that is in memory. There may be millions of entries, so the partition,
 * the priority and two flags share a field.
 */
public class BacklogEntry {
    /** Bytes of an entry and its place in a queue; see {@code benchmarks backlog}. */
    public static final long HEAP = 48;

    /** The same with times, and with its place by expiry. */
    static final long TIMED_HEAP = 132;

    private static final int REMOVED = 1 << 31;
    private static final int NEAR = 1 << 30;
    private static final int PRIORITY_SHIFT = 27;
    private static final int PARTITION_MASK = (1 << PRIORITY_SHIFT) - 1;
    private static final Priority[] PRIORITIES = Priority.values();

    /** Longest-waiting first. Written out instead of composed comparators, because it is called many times per task. */
    static final Comparator<BacklogEntry> BY_TURN = BacklogEntry::byTurn;

    private final long offset;
    private final long sinceMs;
    private final int idHash;
    private int place;
    /** Null while the payload is not in memory. */
    @Nullable
    WaitingTask task;

    private BacklogEntry(TaskSummary summary) {
        Position position = summary.position();
        this.offset = position.offset();
        this.sinceMs = summary.waitingSince().toEpochMilli();
        this.idHash = summary.idHash();
        this.place = position.priority().ordinal() << PRIORITY_SHIFT | position.partition();
    }

    /** An entry without a payload, of a task that is in no backlog. */
    public static BacklogEntry of(TaskSummary summary) {
        return of(summary, List.of());
    }

    /**
     * An entry without a payload.
     *
     * @param limits the names of the limits that the task uses
     */
    static BacklogEntry of(TaskSummary summary, List<String> limits) {
        return summary.notBefore() == null && summary.expiresAt() == null
                ? new BacklogEntry(summary)
                : new Timed(summary, limits);
    }

    /** An entry of a task that must not be assigned before a time, or not after one. */
    static final class Timed extends BacklogEntry {
        static final Comparator<Timed> BY_START = Comparator.comparing(entry -> entry.notBefore);
        static final Comparator<Timed> BY_EXPIRY =
                Comparator.comparing((Timed entry) -> entry.expiresAt).thenComparing(BacklogEntry::position);

        /** Needed to find its group when it is due. */
        final Requirements requirements;

        final List<String> limits;
        final String key;

        /** Whether it is kept apart because it is not due yet. */
        boolean isScheduled;

        private final Instant notBefore;
        private final Instant expiresAt;

        private Timed(TaskSummary summary, List<String> limits) {
            super(summary);
            this.requirements = summary.requirements();
            this.limits = limits;
            this.key = summary.key();
            this.notBefore = Objects.requireNonNullElse(summary.notBefore(), Instant.MIN);
            this.expiresAt = Objects.requireNonNullElse(summary.expiresAt(), Instant.MAX);
        }

        boolean startsAfter(Instant now) {
            return notBefore.isAfter(now);
        }

        boolean canExpire() {
            return expiresAt != Instant.MAX;
        }

        boolean hasExpiredBy(Instant now) {
            return !expiresAt.isAfter(now);
        }
    }

    private static int byTurn(BacklogEntry one, BacklogEntry other) {
        int byTime = Long.compare(one.sinceMs, other.sinceMs);
        if (byTime != 0) {
            return byTime;
        }
        int byPartition = Integer.compare(one.partition(), other.partition());
        return byPartition != 0 ? byPartition : Long.compare(one.offset, other.offset);
    }

    public Position position() {
        return new Position(priority(), partition(), offset);
    }

    public Priority priority() {
        return PRIORITIES[level()];
    }

    public int partition() {
        return place & PARTITION_MASK;
    }

    public long offset() {
        return offset;
    }

    /** When the task was first accepted, in ms; determines its turn and its aging. */
    public Instant waitingSince() {
        return Instant.ofEpochMilli(sinceMs);
    }

    /** The hash code of its id: tasks with different ids may have the same. */
    public int idHash() {
        return idHash;
    }

    /** The task, with its payload; null while that is not in memory. */
    public @Nullable WaitingTask task() {
        return task;
    }

    /** Whether it has left the backlog. */
    public boolean isRemoved() {
        return (place & REMOVED) != 0;
    }

    /** The priority level, 0 for urgent to 4 for low. */
    int level() {
        return place >> PRIORITY_SHIFT & 7;
    }

    void markRemoved() {
        place |= REMOVED;
    }

    /** Its priority and partition as one number. */
    int partitionKey() {
        return place & ~(REMOVED | NEAR);
    }

    /** Whether its turn is near, so that its payload is kept. */
    public boolean isNear() {
        return (place & NEAR) != 0;
    }

    void setNear(boolean near) {
        place = near ? place | NEAR : place & ~NEAR;
    }

    @Override
    public String toString() {
        return position() + (task == null ? "" : " " + task.id());
    }
}

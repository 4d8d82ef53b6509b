package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.OffsetLedger;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A lane's state for one partition: offsets done, tasks deferred to its tail, and clears in progress. */
final class OwnedPartition {
    /** A partition of a priority's topic. */
    record Id(Priority priority, int number) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Id id && id.number == number && id.priority == priority;
        }

        /** Deterministic across runs, unlike the hash code of an enum. */
        @Override
        public int hashCode() {
            return 31 * number + priority.ordinal();
        }

        static Id of(Position position) {
            return new Id(position.priority(), position.partition());
        }
    }

    /** With the next constant, a task of 250 bytes counts as 1,700: {@code benchmarks memory} measures 1,000 to 1,700. */
    private static final long HEAP_PER_TASK = 1_200;

    /** Text is kept as received, and small values in it become objects. */
    private static final long HEAP_PER_BYTE = 2;

    /** Leaves room for the tag with the topic id. */
    private static final int MAX_METADATA = OffsetLedger.MAX_METADATA - CommitTag.LENGTH;

    /** An offset and metadata to commit. */
    record Commit(long offset, String metadata) {}

    private final OffsetLedger ledger;
    /** Below this offset, the previous owner may have assigned tasks. */
    private final long inheritedBelow;
    /** Deferred tasks that are not done: offset → original offset. */
    private final Map<Long, Long> deferredOrigins = new HashMap<>();
    /** Sizes of the held tasks, by offset. */
    private final Map<Long, Integer> sizes = new HashMap<>();
    /** Oldest first. */
    private final List<Clearing> clearings = new ArrayList<>();

    private @Nullable Commit committed;
    private long bytes;
    private int pendingDeferrals;
    private double allowance;
    private @Nullable Instant refilledAt;
    /** Last time that a task of it was assigned, or that it had room. */
    private Instant lastProgressAt = Instant.EPOCH;
    /** The number of unread records that were deferred by this lane. */
    private long deferredAhead;

    private static final class Clearing {
        final ClearQueue command;
        long end;
        /** The end of the tasks deferred before the command; null until known. */
        @Nullable
        Long readUntil;

        Clearing(ClearQueue command, long end) {
            this.command = command;
            this.end = end;
        }
    }

    OwnedPartition(long committedOffset, String metadata, long end) {
        this.ledger = OffsetLedger.restore(committedOffset, metadata);
        this.inheritedBelow = end;
    }

    boolean isInherited(long offset) {
        return offset < inheritedBelow;
    }

    /** Marks a record as read; false if it is already done and must be skipped. */
    boolean received(long offset) {
        return ledger.received(offset);
    }

    /** Adds a task that waits from now on, or again. */
    void addWaiting(WaitingTask task) {
        if (sizes.put(task.position().offset(), task.bytes()) == null) {
            bytes += task.bytes();
        }
        if (task.wasDeferred() && deferredOrigins.put(task.position().offset(), task.origin()) == null) {
            deferredAhead = Math.max(0, deferredAhead - 1);
        }
    }

    void readUpTo(long position) {
        ledger.readUpTo(position);
    }

    void finished(long offset) {
        ledger.finished(offset);
        deferredOrigins.remove(offset);
        Integer size = sizes.remove(offset);
        bytes -= size == null ? 0 : size;
    }

    long unfinished() {
        return ledger.unfinished();
    }

    /** Total size of the unfinished tasks. */
    long bytes() {
        return bytes;
    }

    /** Estimated heap usage of the unfinished tasks, in bytes. */
    long memory() {
        return sizes.size() * HEAP_PER_TASK + bytes * HEAP_PER_BYTE;
    }

    Iterable<Long> unfinishedOffsets() {
        return ledger.unfinishedOffsets();
    }

    /** The number of unread records that this lane has never seen. */
    long unseen(long end) {
        return end - ledger.next() - deferredAhead;
    }

    boolean hasUnread(long end) {
        return end > ledger.next();
    }

    /**
     * Refills the deferral allowance, a token bucket.
     *
     * @param perSecond refill rate
     * @param most capacity
     */
    void refillAllowance(double perSecond, double most, Instant now) {
        if (refilledAt == null) {
            allowance = most;
        } else {
            long passedMs = Math.max(0, Duration.between(refilledAt, now).toMillis());
            allowance = Math.min(most, allowance + passedMs / 1_000.0 * perSecond);
        }
        refilledAt = now;
    }

    /** Records that a task of it was assigned, or that it has room. */
    void markProgress(Instant now) {
        lastProgressAt = now;
    }

    boolean hasStalledFor(Duration duration, Instant now) {
        return !now.isBefore(lastProgressAt.plus(duration));
    }

    boolean mayDefer() {
        return allowance >= 1;
    }

    void deferralSelected(double cost) {
        allowance -= cost;
    }

    /** Whether the commit's metadata was truncated. */
    boolean isLedgerTruncated() {
        return ledger.isMetadataTruncated();
    }

    void deferralStarted() {
        pendingDeferrals++;
    }

    void deferralEnded(boolean appended) {
        pendingDeferrals--;
        if (appended) {
            deferredAhead++;
        }
    }

    /** The commit, if it differs from the last one; else null. */
    @Nullable
    Commit changedCommit() {
        Commit now = new Commit(ledger.lowestUnfinished(), ledger.metadata(MAX_METADATA));
        if (now.equals(committed)) {
            return null;
        }
        committed = now;
        return now;
    }

    void commitFailed() {
        committed = null;
    }

    void clear(ClearQueue command, int number) {
        long end = command.endOffsets().getOrDefault(number, 0L);
        if (end > 0
                && clearings.stream()
                        .noneMatch(clearing -> clearing.command.commandId().equals(command.commandId()))) {
            clearings.add(new Clearing(command, end));
        }
    }

    boolean isClearing() {
        return !clearings.isEmpty();
    }

    /** Whether a clear still needs the partition's end, below which all tasks deferred before it lie. */
    boolean needsEnd() {
        return pendingDeferrals == 0 && clearings.stream().anyMatch(clearing -> clearing.readUntil == null);
    }

    void setEnd(long end) {
        for (Clearing clearing : clearings) {
            if (clearing.readUntil == null) {
                clearing.readUntil = end;
                // Records appended later are not included, whatever the command says.
                clearing.end = Math.min(clearing.end, end);
            }
        }
    }

    /** Whether records must be read for a clear, even if the partition is full: cleared tasks are removed at once. */
    boolean readsForClear() {
        return clearings.stream()
                .anyMatch(clearing -> clearing.readUntil == null || ledger.next() < clearing.readUntil);
    }

    /** The command id of the clear that covers a task; null if none does. */
    @Nullable
    String clearOf(WaitingTask task) {
        for (Clearing clearing : clearings) {
            if (task.origin() < clearing.end) {
                return clearing.command.commandId();
            }
        }
        return null;
    }

    /** Removes and returns the clears that are finished. */
    List<ClearQueue> takeFinishedClears() {
        List<ClearQueue> finished = new ArrayList<>();
        clearings.removeIf(clearing -> {
            boolean done = clearing.readUntil != null
                    && ledger.next() >= clearing.readUntil
                    && ledger.lowestUnfinished() >= clearing.end
                    && deferredOrigins.values().stream().noneMatch(origin -> origin < clearing.end);
            if (done) {
                finished.add(clearing.command);
            }
            return done;
        });
        return finished;
    }

    /** Drops a clear that an owner has finished here. */
    void cleared(String commandId) {
        clearings.removeIf(clearing -> clearing.command.commandId().equals(commandId));
    }
}

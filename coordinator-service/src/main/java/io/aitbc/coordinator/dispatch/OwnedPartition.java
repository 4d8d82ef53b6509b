package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.intake.OffsetLedger;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a lane keeps of one partition: which offsets are done, what was put off to its tail, and what is being cleared. */
final class OwnedPartition {
    /** A partition of the topic of a priority. */
    record Id(Priority priority, int number) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Id id && id.number == number && id.priority == priority;
        }

        /** The same in every run, as an enum's own is not. */
        @Override
        public int hashCode() {
            return 31 * number + priority.ordinal();
        }

        static Id of(Position position) {
            return new Id(position.priority(), position.partition());
        }
    }

    /** With what follows a task of 250 bytes counts as 1,700: {@code benchmarks memory} tells of 1,000 to 1,700. */
    private static final long HEAP_PER_TASK = 1_200;

    /** A text is kept as it came, small things in it as objects. */
    private static final long HEAP_PER_BYTE = 2;

    /** The rest is for the id of the topic. */
    private static final int MAX_METADATA = OffsetLedger.MAX_METADATA - CommitTag.LENGTH;

    /** What is to be committed. */
    record Commit(long offset, String metadata) {}

    private final OffsetLedger ledger;
    /** Who owned it before may have handed on what stands below. */
    private final long inheritedBelow;
    /** Tasks that stood here before and were put off, and are not done: offset → the offset they had first. */
    private final Map<Long, Long> again = new HashMap<>();
    /** Of the tasks that are held, the sizes by offset. */
    private final Map<Long, Integer> sizes = new HashMap<>();
    /** The oldest first. */
    private final List<Clearing> clearings = new ArrayList<>();

    private @Nullable Commit committed;
    private long bytes;
    private int openPutOffs;
    private double allowance;
    private @Nullable Instant filledAt;
    /** When something of it was handed out last, or it had room. */
    private Instant movedAt = Instant.EPOCH;
    /** How many of the records that are still to be read were put off by this lane. */
    private long putOffAhead;

    private static final class Clearing {
        final ClearQueue command;
        long end;
        /** Where what was put off before the command ends; null until that is known. */
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

    /** Notes that a record was read; false if it is done already and to be skipped. */
    boolean received(long offset) {
        return ledger.received(offset);
    }

    /** Notes that what was read is a task that waits from now on, or again. */
    void waits(WaitingTask task) {
        if (sizes.put(task.position().offset(), task.bytes()) == null) {
            bytes += task.bytes();
        }
        if (task.wasPutOff() && again.put(task.position().offset(), task.origin()) == null) {
            putOffAhead = Math.max(0, putOffAhead - 1);
        }
    }

    void readUpTo(long position) {
        ledger.readUpTo(position);
    }

    void finished(long offset) {
        ledger.finished(offset);
        again.remove(offset);
        Integer size = sizes.remove(offset);
        bytes -= size == null ? 0 : size;
    }

    long unfinished() {
        return ledger.unfinished();
    }

    /** How large the unfinished tasks are together. */
    long bytes() {
        return bytes;
    }

    /** What the unfinished tasks take on the heap, about. */
    long memory() {
        return sizes.size() * HEAP_PER_TASK + bytes * HEAP_PER_BYTE;
    }

    Iterable<Long> unfinishedOffsets() {
        return ledger.unfinishedOffsets();
    }

    /** How many records are still to be read that this lane has never seen. */
    long unseen(long end) {
        return end - ledger.next() - putOffAhead;
    }

    boolean hasUnread(long end) {
        return end > ledger.next();
    }

    /**
     * How many tasks may be put off: a bucket of tokens.
     *
     * @param perSecond how fast it fills
     * @param most what it holds
     */
    void fillAllowance(double perSecond, double most, Instant now) {
        if (filledAt == null) {
            allowance = most;
        } else {
            long passedMs = Math.max(0, Duration.between(filledAt, now).toMillis());
            allowance = Math.min(most, allowance + passedMs / 1_000.0 * perSecond);
        }
        filledAt = now;
    }

    /** Something of it has been handed out, or it has room. */
    void moved(Instant now) {
        movedAt = now;
    }

    boolean hasStoodStillFor(Duration duration, Instant now) {
        return !now.isBefore(movedAt.plus(duration));
    }

    boolean mayPutOff() {
        return allowance >= 1;
    }

    void putOffChosen(double cost) {
        allowance -= cost;
    }

    /** Whether the commit's metadata has not room for all that is done. */
    boolean isLedgerCut() {
        return ledger.isMetadataCut();
    }

    void putOffStarted() {
        openPutOffs++;
    }

    void putOffEnded(boolean appended) {
        openPutOffs--;
        if (appended) {
            putOffAhead++;
        }
    }

    /** What to commit, if it is something else than the last time. */
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

    /** Whether a clear still has to know where the partition ends: all that was put off before it stands below. */
    boolean needsEnd() {
        return openPutOffs == 0 && clearings.stream().anyMatch(clearing -> clearing.readUntil == null);
    }

    void endIs(long end) {
        for (Clearing clearing : clearings) {
            if (clearing.readUntil == null) {
                clearing.readUntil = end;
                // What is still to come was not meant, whatever the command says.
                clearing.end = Math.min(clearing.end, end);
            }
        }
    }

    /** Whether records have to be read for a clear, full or not: what it means is taken out at once. */
    boolean readsForClear() {
        return clearings.stream()
                .anyMatch(clearing -> clearing.readUntil == null || ledger.next() < clearing.readUntil);
    }

    /** The clear that a task falls under, by the id of the command. */
    @Nullable
    String clearOf(WaitingTask task) {
        for (Clearing clearing : clearings) {
            if (task.origin() < clearing.end) {
                return clearing.command.commandId();
            }
        }
        return null;
    }

    /** Takes out the clears that have come to their end. */
    List<ClearQueue> takeFinishedClears() {
        List<ClearQueue> finished = new ArrayList<>();
        clearings.removeIf(clearing -> {
            boolean done = clearing.readUntil != null
                    && ledger.next() >= clearing.readUntil
                    && ledger.lowestUnfinished() >= clearing.end
                    && again.values().stream().noneMatch(origin -> origin < clearing.end);
            if (done) {
                finished.add(clearing.command);
            }
            return done;
        });
        return finished;
    }

    /** Somebody has finished a clear here. */
    void cleared(String commandId) {
        clearings.removeIf(clearing -> clearing.command.commandId().equals(commandId));
    }
}

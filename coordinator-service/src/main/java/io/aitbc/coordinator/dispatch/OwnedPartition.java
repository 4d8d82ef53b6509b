package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.queue.OffsetLedger;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A lane's state for one partition: offsets done, and clears in progress. */
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

    /** Leaves room for the tag with the topic id. */
    private static final int MAX_METADATA = OffsetLedger.MAX_METADATA - CommitTag.LENGTH;

    /**
     * An offset and metadata to commit.
     *
     * @param full all that is done, if it does not fit into the metadata; else null
     */
    record Commit(long offset, String metadata, OffsetLedger.@Nullable Snapshot full) {}

    private final OffsetLedger ledger;
    /** Offsets of records that a previous owner reserved for an agent, and may not have published. */
    private final Set<Long> reserved;
    /** All of them are below this offset. */
    private final long reservedEnd;
    /** Oldest first. */
    private final List<Clearing> clearings = new ArrayList<>();

    private long committedVersion = -1;

    private static final class Clearing {
        final ClearQueue command;
        long end;
        /** Whether the end is at most that of the partition when the command was received. */
        boolean isEndKnown;

        Clearing(ClearQueue command, long end) {
            this.command = command;
            this.end = end;
        }
    }

    OwnedPartition(OffsetLedger ledger, Set<Long> reserved) {
        this.ledger = ledger;
        this.reserved = new HashSet<>(reserved);
        this.reservedEnd =
                reserved.stream().mapToLong(offset -> offset + 1).max().orElse(0);
    }

    /** Marks a record as read; false if it is already done and must be skipped. */
    boolean received(long offset) {
        return ledger.received(offset);
    }

    /** Whether a previous owner reserved a record that is read now. */
    boolean takeReserved(long offset) {
        return reserved.remove(offset);
    }

    boolean isReserved(long offset) {
        return reserved.contains(offset);
    }

    void readUpTo(long position) {
        ledger.readUpTo(position);
    }

    /** Marks all offsets below one as read, and returns those that were not and are not done. */
    List<Long> receiveUpTo(long end) {
        List<Long> received = new ArrayList<>();
        for (long offset = ledger.next(); offset < end; offset++) {
            if (ledger.received(offset)) {
                received.add(offset);
            }
        }
        return received;
    }

    void finished(long offset) {
        ledger.finished(offset);
    }

    /** How many records are done behind the first unfinished one. */
    long doneAbove() {
        return ledger.doneAbove();
    }

    long lowestUnfinished() {
        return ledger.lowestUnfinished();
    }

    /** The commit, if it differs from the last one; else null. */
    @Nullable
    Commit changedCommit() {
        if (ledger.version() == committedVersion) {
            return null;
        }
        committedVersion = ledger.version();
        String metadata = ledger.metadata(MAX_METADATA);
        return new Commit(ledger.lowestUnfinished(), metadata, ledger.isMetadataTruncated() ? ledger.snapshot() : null);
    }

    void commitFailed() {
        committedVersion = -1;
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

    /** Whether a clear still needs the partition's end. */
    boolean needsEnd() {
        return clearings.stream().anyMatch(clearing -> !clearing.isEndKnown);
    }

    void setEnd(long end) {
        for (Clearing clearing : clearings) {
            if (!clearing.isEndKnown) {
                clearing.isEndKnown = true;
                // Records appended later are not included, whatever the command says.
                clearing.end = Math.min(clearing.end, end);
            }
        }
    }

    /** Whether records are unread that a previous owner reserved: they may be what fills the agents. */
    boolean hasUnreadReserved() {
        return ledger.next() < reservedEnd;
    }

    /** Whether unread records are covered by a clear: they do not enter the backlog. */
    boolean readsForClear() {
        return clearings.stream().anyMatch(clearing -> ledger.next() < clearing.end);
    }

    /** The command id of the clear that covers a record; null if none does. */
    @Nullable
    String clearOf(long offset) {
        for (Clearing clearing : clearings) {
            if (offset < clearing.end) {
                return clearing.command.commandId();
            }
        }
        return null;
    }

    /** Removes and returns the clears that are finished. */
    List<ClearQueue> takeFinishedClears() {
        List<ClearQueue> finished = new ArrayList<>();
        clearings.removeIf(clearing -> {
            boolean done = clearing.isEndKnown && ledger.lowestUnfinished() >= clearing.end;
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

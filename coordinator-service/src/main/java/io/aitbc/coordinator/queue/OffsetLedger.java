package io.aitbc.coordinator.queue;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.BitSet;

/**
 * Tracks which offsets of one partition are done. Tasks finish out of order, so the offset to commit is the lowest unfinished one; offsets
 * done above it are stored in the commit's metadata and restored from there.
 *
 * <p>Metadata: {@code 1:}, then base64 of a varint with the number of offsets done above the committed one, then either {@code R} and
 * varint lengths of alternating runs, unfinished first, or {@code B} and a bitmap, whichever is shorter. Beyond {@value #MAX_METADATA}
 * characters the tail is truncated; {@link LedgerTopic} then holds all of it.
 */
public final class OffsetLedger {
    /** Kafka's default for {@code offset.metadata.max.bytes}. */
    public static final int MAX_METADATA = 4096;

    private static final String VERSION = "1:";
    /** The bitmap is compacted when this many of its low bits lie below the lowest unfinished offset. */
    private static final int COMPACT_AT = 1 << 16;

    /** The offset of bit 0. */
    private long origin;

    private long lowestUnfinished;
    private long next;
    private BitSet done = new BitSet();
    private long doneAbove;
    private boolean metadataTruncated;
    /** Counts the changes that a commit would show. */
    private long version;

    /** Creates a ledger of a partition whose offsets below {@code committed} are all done. */
    public OffsetLedger(long committed) {
        origin = committed;
        lowestUnfinished = committed;
        next = committed;
    }

    /** Decoded metadata: how many offsets above the committed one are done, and which of them, as far as they fitted. */
    private record Above(long count, BitSet done) {
        static Above none() {
            return new Above(0, new BitSet());
        }

        /** Whether it is consistent: the committed offset is unfinished, and no more offsets are listed than counted. */
        boolean isPossible() {
            return !done.get(0) && done.cardinality() <= count;
        }
    }

    /** Restores a committed ledger. Metadata in an unknown format is ignored. */
    public static OffsetLedger restore(long committed, String metadata) {
        OffsetLedger ledger = new OffsetLedger(committed);
        ledger.done = decode(metadata).done();
        ledger.doneAbove = ledger.done.cardinality();
        return ledger;
    }

    /** How many offsets above the committed one are done, according to a commit's metadata. */
    public static long doneAbove(String metadata) {
        return decode(metadata).count();
    }

    /**
     * Marks a record as read. Skipped offsets (compacted, deleted, transaction markers) hold no task and are done.
     *
     * @return false if the record is already done and must be skipped
     */
    public boolean received(long offset) {
        readUpTo(offset);
        next = Math.max(next, offset + 1);
        return !isDone(offset);
    }

    /** Marks everything below an offset as read; offsets without a record are done. */
    public void readUpTo(long position) {
        if (position - next > COMPACT_AT && doneAbove == 0 && next == lowestUnfinished) {
            // Far ahead of an empty ledger, for example after records were deleted: restart there.
            origin = position;
            lowestUnfinished = position;
            next = position;
            done.clear();
            version++;
            return;
        }
        for (long skipped = next; skipped < position; skipped++) {
            finished(skipped);
        }
        next = Math.max(next, position);
    }

    /**
     * Marks an offset done. It may not have been read yet: a partition that is lost and regained is read from its last commit, while
     * earlier asynchronous requests still complete.
     */
    public void finished(long offset) {
        if (isDone(offset)) {
            return;
        }
        done.set(Math.toIntExact(offset - origin));
        doneAbove++;
        version++;
        if (offset == lowestUnfinished) {
            long newLowest = origin + done.nextClearBit(Math.toIntExact(offset - origin));
            doneAbove -= newLowest - lowestUnfinished;
            lowestUnfinished = newLowest;
            next = Math.max(next, lowestUnfinished);
            compact();
        }
    }

    /** Changes whenever the ledger does. */
    public long version() {
        return version;
    }

    /**
     * All that is done at one time.
     *
     * @param lowestUnfinished everything below it is done
     * @param done bit 0 is the offset {@code lowestUnfinished}
     */
    public record Snapshot(long lowestUnfinished, BitSet done) {}

    public Snapshot snapshot() {
        int from = Math.toIntExact(lowestUnfinished - origin);
        return new Snapshot(lowestUnfinished, done.get(from, Math.max(from, done.length())));
    }

    /** Marks done what another ledger of the same partition has as done. */
    void addAll(OffsetLedger other) {
        if (other.lowestUnfinished > next) {
            readUpTo(other.lowestUnfinished);
        }
        for (long offset = lowestUnfinished; offset < other.lowestUnfinished; offset++) {
            finished(offset);
        }
        for (int bit = other.done.nextSetBit(0); bit >= 0; bit = other.done.nextSetBit(bit + 1)) {
            finished(other.origin + bit);
        }
    }

    /** Forgets what is done at or above an offset: there is no such record yet. */
    void forgetFrom(long offset) {
        if (offset <= lowestUnfinished) {
            done.clear();
            doneAbove = 0;
            origin = Math.min(offset, lowestUnfinished);
            lowestUnfinished = origin;
            next = origin;
        } else if (done.length() > offset - origin) {
            doneAbove -= done.get((int) (offset - origin), done.length()).cardinality();
            done.clear((int) (offset - origin), done.length());
            next = Math.min(next, offset);
        }
    }

    public boolean isDone(long offset) {
        return offset < lowestUnfinished || done.get(Math.toIntExact(offset - origin));
    }

    /** The offset to commit. */
    public long lowestUnfinished() {
        return lowestUnfinished;
    }

    /** The next offset to read. */
    public long next() {
        return next;
    }

    /** How many offsets above the lowest unfinished one are done. */
    public long doneAbove() {
        return doneAbove;
    }

    /** How many offsets are done, from 0. */
    long doneCount() {
        return lowestUnfinished + doneAbove;
    }

    /** The number of offsets below one that are not done. */
    public long unfinishedBelow(long offset) {
        if (offset <= lowestUnfinished) {
            return 0;
        }
        int from = Math.toIntExact(lowestUnfinished - origin);
        int to = (int) Math.min(done.length(), offset - origin);
        return offset - lowestUnfinished - (to <= from ? 0 : done.get(from, to).cardinality());
    }

    /** The commit's metadata; empty when nothing is done above the lowest unfinished offset. */
    String metadata() {
        return metadata(MAX_METADATA);
    }

    /** The commit's metadata, truncated to at most {@code maxLength} characters to leave room for other content. */
    public String metadata(int maxLength) {
        if (doneAbove == 0) {
            return "";
        }
        int from = Math.toIntExact(lowestUnfinished - origin);
        int maxBytes = (maxLength - VERSION.length()) / 4 * 3;
        Encoded runs = encodeRuns(from, maxBytes);
        Encoded bitmap = encodeBitmap(from, maxBytes);
        // The encoding that covers more offsets; the shorter one if equal.
        boolean runsAreBetter = runs.covered == bitmap.covered
                ? runs.buffer.position() <= bitmap.buffer.position()
                : runs.covered > bitmap.covered;
        Encoded better = runsAreBetter ? runs : bitmap;
        metadataTruncated = better.covered < doneAbove;
        byte[] bytes = new byte[better.buffer.position()];
        better.buffer.flip().get(bytes);
        return VERSION + Base64.getEncoder().encodeToString(bytes);
    }

    /** Whether the metadata was truncated when last encoded. */
    public boolean isMetadataTruncated() {
        return metadataTruncated && doneAbove > 0;
    }

    /** Encoded metadata, and how many done offsets it covers. */
    private record Encoded(ByteBuffer buffer, long covered) {}

    private Encoded encodeRuns(int from, int maxBytes) {
        ByteBuffer buffer = ByteBuffer.allocate(maxBytes);
        writeVarint(buffer, doneAbove);
        buffer.put((byte) 'R');
        int start = from;
        long covered = 0;
        boolean runIsDone = false;
        while (start < done.length() && buffer.remaining() > 5) {
            int end = runIsDone ? done.nextClearBit(start) : done.nextSetBit(start);
            writeVarint(buffer, end - start);
            covered += runIsDone ? end - start : 0;
            start = end;
            runIsDone = !runIsDone;
        }
        return new Encoded(buffer, covered);
    }

    private Encoded encodeBitmap(int from, int maxBytes) {
        ByteBuffer buffer = ByteBuffer.allocate(maxBytes);
        writeVarint(buffer, doneAbove);
        buffer.put((byte) 'B');
        int to = (int) Math.min(done.length(), from + 8L * buffer.remaining());
        BitSet covered = done.get(from, to);
        buffer.put(covered.toByteArray());
        return new Encoded(buffer, covered.cardinality());
    }

    private static Above decode(String metadata) {
        if (!metadata.startsWith(VERSION)) {
            return Above.none();
        }
        try {
            ByteBuffer buffer = ByteBuffer.wrap(Base64.getDecoder().decode(metadata.substring(VERSION.length())));
            long count = readVarint(buffer);
            Above above = new Above(count, decode(buffer.get(), buffer));
            return above.isPossible() ? above : Above.none();
        } catch (IllegalArgumentException | ArithmeticException | BufferUnderflowException e) {
            // Unknown format: its offsets cannot be trusted either.
            return Above.none();
        }
    }

    private static BitSet decode(byte form, ByteBuffer buffer) {
        return switch (form) {
            case 'R' -> decodeRuns(buffer);
            case 'B' -> BitSet.valueOf(buffer);
            default -> throw new IllegalArgumentException("must be R or B but was " + form);
        };
    }

    private static BitSet decodeRuns(ByteBuffer buffer) {
        BitSet done = new BitSet();
        int start = 0;
        boolean runIsDone = false;
        while (buffer.hasRemaining()) {
            int end = Math.toIntExact(start + readVarint(buffer));
            if (end <= start) {
                throw new IllegalArgumentException("a run from " + start + " to " + end);
            }
            if (runIsDone) {
                done.set(start, end);
            }
            start = end;
            runIsDone = !runIsDone;
        }
        return done;
    }

    private void compact() {
        long behind = lowestUnfinished - origin;
        if (behind >= COMPACT_AT) {
            done = done.get(Math.toIntExact(behind), Math.max(done.length(), Math.toIntExact(behind)));
            origin = lowestUnfinished;
        }
    }

    private static void writeVarint(ByteBuffer buffer, long value) {
        long rest = value;
        while (rest >= 0x80) {
            buffer.put((byte) (rest | 0x80));
            rest >>>= 7;
        }
        buffer.put((byte) rest);
    }

    private static long readVarint(ByteBuffer buffer) {
        long value = 0;
        for (int shift = 0; shift < Long.SIZE; shift += 7) {
            byte next = buffer.get();
            value |= (long) (next & 0x7F) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw new IllegalArgumentException("a varint of more than 64 bits");
    }
}

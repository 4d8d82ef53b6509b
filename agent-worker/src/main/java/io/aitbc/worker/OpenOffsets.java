package io.aitbc.worker;

import java.util.TreeSet;

/** Offsets that have been read but whose results are not reported yet. */
final class OpenOffsets {
    private final TreeSet<Long> open = new TreeSet<>();
    private long next;
    private long committed = -1;

    void read(long offset) {
        open.add(offset);
        next = Math.max(next, offset + 1);
    }

    void reported(long offset) {
        open.remove(offset);
    }

    int size() {
        return open.size();
    }

    /** The offset to commit: everything below it is reported. -1 if it was already returned. */
    long toCommit() {
        long lowest = open.isEmpty() ? next : open.first();
        if (lowest <= committed || lowest == 0) {
            return -1;
        }
        committed = lowest;
        return lowest;
    }

    void commitFailed() {
        committed = -1;
    }

    void forget() {
        open.clear();
        committed = -1;
        next = 0;
    }
}

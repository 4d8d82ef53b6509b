package io.aitbc.worker;

import java.util.TreeSet;

/** Tracks offsets that have been consumed but whose results have not been reported yet. */
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

    /** Returns the offset to commit, below which all results are reported; -1 if it was already returned. */
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

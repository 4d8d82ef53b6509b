package io.aitbc.coordinator.balance;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A priority queue of agents by rank, the lowest first; among equals, the one whose turn was longest ago. It is an indexed heap
 * (Sedgewick and Wayne, "Algorithms", 4th ed., 2.4, index priority queue): each entry knows its index, so a change costs O(log n)
 * and allocates nothing. The heap is 4-ary, with the sort keys in separate arrays, so that a change touches few memory locations
 * (Johnson, "Priority queues with update and finding minimum spanning trees", 1975).
 */
final class CandidateHeap {
    private static final int ARITY = 4;

    /** An agent's entry in the heap. After changing its rank or turn, call {@link CandidateHeap#update}. */
    static final class HeapEntry {
        final Candidate candidate;
        double rank;
        long turn;
        private int index;

        HeapEntry(Candidate candidate, double rank, long turn) {
            this.candidate = candidate;
            this.rank = rank;
            this.turn = turn;
        }
    }

    private HeapEntry[] heap = new HeapEntry[8];
    private double[] ranks = new double[8];
    private long[] turns = new long[8];
    private int size;

    boolean isEmpty() {
        return size == 0;
    }

    @Nullable
    HeapEntry first() {
        return size == 0 ? null : heap[0];
    }

    void add(HeapEntry place) {
        if (size == heap.length) {
            heap = Arrays.copyOf(heap, size * 2);
            ranks = Arrays.copyOf(ranks, size * 2);
            turns = Arrays.copyOf(turns, size * 2);
        }
        set(size, place);
        size++;
        update(place);
    }

    void remove(HeapEntry place) {
        size--;
        HeapEntry last = heap[size];
        heap[size] = null;
        if (last != place) {
            set(place.index, last);
            update(last);
        }
    }

    void update(HeapEntry place) {
        // Write the new keys first, because other entries are compared with them.
        set(place.index, place);
        int index = siftUp(place.index);
        if (index == place.index) {
            index = siftDown(index);
        }
        set(index, place);
    }

    /** Moves ancestors down past the entry at an index, and returns its new index. */
    private int siftUp(int from) {
        double rank = ranks[from];
        long turn = turns[from];
        HeapEntry place = heap[from];
        int gap = from;
        while (gap > 0) {
            int parent = (gap - 1) / ARITY;
            if (!isBefore(rank, turn, place, ranks[parent], turns[parent], heap[parent])) {
                break;
            }
            set(gap, heap[parent]);
            gap = parent;
        }
        return gap;
    }

    /** Moves descendants up past the entry at an index, and returns its new index. */
    private int siftDown(int from) {
        double rank = ranks[from];
        long turn = turns[from];
        HeapEntry place = heap[from];
        int gap = from;
        while (ARITY * gap + 1 < size) {
            int least = ARITY * gap + 1;
            int end = Math.min(least + ARITY, size);
            for (int i = least + 1; i < end; i++) {
                if (isBefore(ranks[i], turns[i], heap[i], ranks[least], turns[least], heap[least])) {
                    least = i;
                }
            }
            if (!isBefore(ranks[least], turns[least], heap[least], rank, turn, place)) {
                break;
            }
            set(gap, heap[least]);
            gap = least;
        }
        return gap;
    }

    private static boolean isBefore(
            double rank, long turn, HeapEntry one, double otherRank, long otherTurn, HeapEntry other) {
        if (rank != otherRank) {
            return rank < otherRank;
        }
        return turn != otherTurn ? turn < otherTurn : one.candidate.id().compareTo(other.candidate.id()) < 0;
    }

    private void set(int index, HeapEntry place) {
        heap[index] = place;
        ranks[index] = place.rank;
        turns[index] = place.turn;
        place.index = index;
    }
}

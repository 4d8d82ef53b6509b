package io.aitbc.coordinator.balance;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A priority queue of agents by rank, the lowest first; among equals, the one whose turn was longest ago. It is an indexed heap
 * (Sedgewick and Wayne, "Algorithms", 4th ed., 2.4, index priority queue): each entry knows its index, so a change costs O(log n)
 * and allocates nothing. The heap is 4-ary, with the sort keys in separate arrays, so that a change touches few memory locations
 * (Johnson, "Priority queues with update and finding minimum spanning trees", 1975).
 */
final class Order {
    private static final int BRANCHES = 4;

    /** An agent's entry in the heap. After changing its rank or turn, call {@link Order#moved}. */
    static final class Place {
        final Candidate candidate;
        double rank;
        long turn;
        private int index;

        Place(Candidate candidate, double rank, long turn) {
            this.candidate = candidate;
            this.rank = rank;
            this.turn = turn;
        }
    }

    private Place[] heap = new Place[8];
    private double[] ranks = new double[8];
    private long[] turns = new long[8];
    private int size;

    boolean isEmpty() {
        return size == 0;
    }

    @Nullable
    Place first() {
        return size == 0 ? null : heap[0];
    }

    void add(Place place) {
        if (size == heap.length) {
            heap = Arrays.copyOf(heap, size * 2);
            ranks = Arrays.copyOf(ranks, size * 2);
            turns = Arrays.copyOf(turns, size * 2);
        }
        set(size, place);
        size++;
        moved(place);
    }

    void remove(Place place) {
        size--;
        Place last = heap[size];
        heap[size] = null;
        if (last != place) {
            set(place.index, last);
            moved(last);
        }
    }

    void moved(Place place) {
        // Write the new keys first, because other entries are compared with them.
        set(place.index, place);
        int index = risen(place.index);
        if (index == place.index) {
            index = sunk(index);
        }
        set(index, place);
    }

    /** Moves ancestors down past the entry at an index, and returns its new index. */
    private int risen(int from) {
        double rank = ranks[from];
        long turn = turns[from];
        Place place = heap[from];
        int gap = from;
        while (gap > 0) {
            int parent = (gap - 1) / BRANCHES;
            if (!isBefore(rank, turn, place, ranks[parent], turns[parent], heap[parent])) {
                break;
            }
            set(gap, heap[parent]);
            gap = parent;
        }
        return gap;
    }

    /** Moves descendants up past the entry at an index, and returns its new index. */
    private int sunk(int from) {
        double rank = ranks[from];
        long turn = turns[from];
        Place place = heap[from];
        int gap = from;
        while (BRANCHES * gap + 1 < size) {
            int least = BRANCHES * gap + 1;
            int end = Math.min(least + BRANCHES, size);
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

    private static boolean isBefore(double rank, long turn, Place one, double otherRank, long otherTurn, Place other) {
        if (rank != otherRank) {
            return rank < otherRank;
        }
        return turn != otherTurn ? turn < otherTurn : one.candidate.id().compareTo(other.candidate.id()) < 0;
    }

    private void set(int index, Place place) {
        heap[index] = place;
        ranks[index] = place.rank;
        turns[index] = place.turn;
        place.index = index;
    }
}

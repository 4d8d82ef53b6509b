package io.aitbc.coordinator.balance;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Agents by rank, the lowest first; of equals the one whose turn came longest ago. A heap in which each knows its place (Sedgewick and
 * Wayne, "Algorithms", 4th ed., 2.4, index priority queue): a change costs O(log n) and allocates nothing. Each has four below it
 * instead of two, and what decides stands in arrays of its own: so a change touches few places in memory (Johnson, "Priority queues
 * with update and finding minimum spanning trees", 1975).
 */
final class Order {
    private static final int BRANCHES = 4;

    /** An agent's place. Whoever changes its rank or turn calls {@link Order#moved}. */
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
        // As it is now, for others to be compared with.
        set(place.index, place);
        int index = risen(place.index);
        if (index == place.index) {
            index = sunk(index);
        }
        set(index, place);
    }

    /** Lets others sink past the one at an index, and returns where it belongs then. */
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

    /** Lets others rise past the one at an index, and returns where it belongs then. */
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

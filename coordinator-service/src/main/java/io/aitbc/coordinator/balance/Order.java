package io.aitbc.coordinator.balance;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Agents by rank, the lowest first; of equals the one whose turn came longest ago. A binary heap in which each knows its place
 * (Sedgewick and Wayne, "Algorithms", 4th ed., 2.4, index priority queue): a change costs O(log n) and allocates nothing.
 */
final class Order {
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

        private boolean isBefore(Place other) {
            if (rank != other.rank) {
                return rank < other.rank;
            }
            return turn != other.turn ? turn < other.turn : candidate.id().compareTo(other.candidate.id()) < 0;
        }
    }

    private Place[] heap = new Place[8];
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
        }
        set(size, place);
        size++;
        rise(place);
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
        rise(place);
        sink(place);
    }

    private void rise(Place place) {
        while (place.index > 0) {
            Place parent = heap[(place.index - 1) / 2];
            if (!place.isBefore(parent)) {
                return;
            }
            swap(place, parent);
        }
    }

    private void sink(Place place) {
        while (true) {
            int left = 2 * place.index + 1;
            if (left >= size) {
                return;
            }
            Place child = heap[left];
            if (left + 1 < size && heap[left + 1].isBefore(child)) {
                child = heap[left + 1];
            }
            if (!child.isBefore(place)) {
                return;
            }
            swap(place, child);
        }
    }

    private void swap(Place one, Place other) {
        int index = one.index;
        set(other.index, one);
        set(index, other);
    }

    private void set(int index, Place place) {
        heap[index] = place;
        place.index = index;
    }
}

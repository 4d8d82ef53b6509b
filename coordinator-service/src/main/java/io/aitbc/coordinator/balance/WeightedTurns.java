package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Selects agents in turn, in proportion to their weights and evenly spread: nginx's smooth weighted round robin (Maxim Dounin,
 * 2012). With each choice every agent's credit grows by its weight. The agent with the most credit is chosen, and its credit
 * falls by the sum of all weights. Weights 5, 1, 1 give a a b a c a a. The credit of an absent agent does not change.
 *
 * <p>Credits are kept per weight, not per agent. Agents of equal weight gain the same credit, so the order of their shelf stays
 * the same. A choice examines one agent per shelf, and there are as many shelves as distinct weights.
 */
final class WeightedTurns implements Selection {
    /** Weights are counted in thousandths, their smallest step, so that sums are exact. */
    private static final double STEPS = 1_000;

    /** Bound below which credits are exact. */
    private static final long LARGEST_GAIN = 1L << 50;

    private final Map<Long, Shelf> shelves = new LinkedHashMap<>();
    private final Map<Candidate, Seat> seats = new IdentityHashMap<>();
    private long total;
    private long arrivals;

    /** Agents of one weight, the one with the most credit first. */
    private static final class Shelf {
        final long weight;
        final Order order = new Order();
        /** Credit gained by every agent on this shelf, in addition to the individual rank. */
        long gained;

        Shelf(long weight) {
            this.weight = weight;
        }
    }

    /** An agent's state, whether present or absent. */
    private static final class Seat {
        final Order.Place place;
        /** The agent's shelf; null while absent, when the rank holds its entire credit. */
        @Nullable
        Shelf shelf;

        Seat(Order.Place place) {
            this.place = place;
        }
    }

    @Override
    public @Nullable Candidate next(Task task) {
        Order.Place best = null;
        long most = 0;
        for (Shelf shelf : shelves.values()) {
            Order.Place first = shelf.order.first();
            if (first != null) {
                long credit = shelf.gained + shelf.weight - (long) first.rank;
                if (best == null || credit > most || credit == most && first.turn < best.turn) {
                    best = first;
                    most = credit;
                }
            }
        }
        return best == null ? null : best.candidate;
    }

    @Override
    public void chosen(Candidate candidate) {
        for (Shelf shelf : shelves.values()) {
            shelf.gained += shelf.weight;
            if (shelf.gained > LARGEST_GAIN) {
                settle(shelf);
            }
        }
        Seat seat = seats.get(candidate);
        // The lowest rank comes first, so a rank is negative credit.
        seat.place.rank += total;
        seat.shelf.order.moved(seat.place);
    }

    @Override
    public void put(Candidate candidate) {
        long weight = Math.max(1, Math.round(candidate.agent().registration().weight() * STEPS));
        Seat seat = seats.computeIfAbsent(candidate, one -> new Seat(new Order.Place(one, 0, arrivals++)));
        if (seat.shelf != null && seat.shelf.weight == weight) {
            return;
        }
        leave(seat);
        Shelf shelf = shelves.computeIfAbsent(weight, Shelf::new);
        seat.place.rank += shelf.gained;
        seat.shelf = shelf;
        shelf.order.add(seat.place);
        total += weight;
    }

    @Override
    public void remove(Candidate candidate) {
        Seat seat = seats.get(candidate);
        if (seat != null) {
            leave(seat);
        }
    }

    @Override
    public void forget(Candidate candidate) {
        Seat seat = seats.remove(candidate);
        if (seat != null) {
            leave(seat);
        }
    }

    @Override
    public boolean isEmpty() {
        return total == 0;
    }

    private void leave(Seat seat) {
        Shelf shelf = seat.shelf;
        if (shelf != null) {
            shelf.order.remove(seat.place);
            seat.place.rank -= shelf.gained;
            seat.shelf = null;
            total -= shelf.weight;
            if (shelf.order.isEmpty()) {
                shelves.remove(shelf.weight);
            }
        }
    }

    private void settle(Shelf shelf) {
        for (Seat seat : seats.values()) {
            if (seat.shelf == shelf) {
                seat.place.rank -= shelf.gained;
            }
        }
        shelf.gained = 0;
    }
}

package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Orders agents by a rank that does not depend on the task, the lowest first. Among equals, the one chosen or added longest ago
 * comes first, so agents of equal rank take turns.
 */
final class Ranking implements Selection {
    private final ToDoubleFunction<Candidate> rank;
    private final Order order = new Order();
    private final Map<Candidate, Order.Place> places = new IdentityHashMap<>();
    private long turns;

    Ranking(ToDoubleFunction<Candidate> rank) {
        this.rank = rank;
    }

    @Override
    public @Nullable Candidate next(Task task) {
        return first();
    }

    @Nullable
    Candidate first() {
        Order.Place first = order.first();
        return first == null ? null : first.candidate;
    }

    @Override
    public void chosen(Candidate candidate) {
        turns++;
        // The order is updated by the put or remove that follows at once.
        places.get(candidate).turn = turns;
    }

    @Override
    public void put(Candidate candidate) {
        Order.Place place = places.get(candidate);
        double now = rank.applyAsDouble(candidate);
        if (place == null) {
            place = new Order.Place(candidate, now, turns);
            places.put(candidate, place);
            order.add(place);
        } else if (place.rank != now || place.turn == turns) {
            place.rank = now;
            order.moved(place);
        }
    }

    @Override
    public void remove(Candidate candidate) {
        Order.Place place = places.remove(candidate);
        if (place != null) {
            order.remove(place);
        }
    }

    @Override
    public boolean isEmpty() {
        return order.isEmpty();
    }
}

package io.aitbc.coordinator.balance;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/** Agents ordered by a rank, the lowest first. A choice and a change cost O(log n) of the number of agents. */
final class Ranking implements Selection {
    private record Place(double rank, String agentId, Candidate candidate) implements Comparable<Place> {
        @Override
        public int compareTo(Place other) {
            int byRank = Double.compare(rank, other.rank);
            return byRank != 0 ? byRank : agentId.compareTo(other.agentId);
        }
    }

    /** What an agent's rank is when it is put. */
    private interface Rank {
        double of(Candidate candidate);

        default void chosen(Candidate candidate) {}
    }

    private final Rank rank;
    private final TreeSet<Place> order = new TreeSet<>();
    private final Map<String, Place> places = new HashMap<>();

    private Ranking(Rank rank) {
        this.rank = rank;
    }

    static Ranking by(ToDoubleFunction<Candidate> rank) {
        return new Ranking(rank::applyAsDouble);
    }

    /** Each choice moves an agent back by the inverse of its weight. */
    static Ranking inTurn(ToDoubleFunction<Candidate> weight) {
        return new Ranking(new Turns(weight));
    }

    @Override
    public @Nullable Candidate next() {
        if (order.isEmpty()) {
            return null;
        }
        Candidate chosen = order.first().candidate();
        rank.chosen(chosen);
        put(chosen);
        return chosen;
    }

    @Override
    public void put(Candidate candidate) {
        remove(candidate);
        Place place = new Place(rank.of(candidate), candidate.id(), candidate);
        places.put(candidate.id(), place);
        order.add(place);
    }

    @Override
    public void remove(Candidate candidate) {
        Place place = places.remove(candidate.id());
        if (place != null) {
            order.remove(place);
        }
    }

    @Override
    public boolean isEmpty() {
        return order.isEmpty();
    }

    private static final class Turns implements Rank {
        private final ToDoubleFunction<Candidate> weight;
        private final Map<String, Double> advanced = new HashMap<>();
        private double now;

        Turns(ToDoubleFunction<Candidate> weight) {
            this.weight = weight;
        }

        @Override
        public double of(Candidate candidate) {
            // One that was away does not catch up on the turns it missed.
            return Math.max(now, advanced.computeIfAbsent(candidate.id(), id -> now + stride(candidate)));
        }

        @Override
        public void chosen(Candidate candidate) {
            now = of(candidate);
            advanced.put(candidate.id(), now + stride(candidate));
        }

        private double stride(Candidate candidate) {
            return 1 / weight.applyAsDouble(candidate);
        }
    }
}

package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Selects one agent at random, or the lower-ranked of two drawn at random. The latter is nearly as even as always taking the
 * lowest, and does not send all coordinators to the same agent (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 2001). Each operation takes constant time.
 */
final class RandomChoice implements Selection {
    private final RandomGenerator random;
    private final @Nullable ToDoubleFunction<Candidate> rank;
    private final List<Candidate> candidates = new ArrayList<>();
    private final Map<Candidate, Integer> indexes = new IdentityHashMap<>();

    private RandomChoice(RandomGenerator random, @Nullable ToDoubleFunction<Candidate> rank) {
        this.random = random;
        this.rank = rank;
    }

    static RandomChoice uniform(RandomGenerator random) {
        return new RandomChoice(random, null);
    }

    static RandomChoice betterOfTwo(RandomGenerator random, ToDoubleFunction<Candidate> rank) {
        return new RandomChoice(random, rank);
    }

    @Override
    public @Nullable Candidate next(Task task) {
        if (candidates.isEmpty()) {
            return null;
        }
        int size = candidates.size();
        int drawn = random.nextInt(size);
        Candidate one = candidates.get(drawn);
        if (rank == null || size == 1) {
            return one;
        }
        Candidate other = candidates.get((drawn + 1 + random.nextInt(size - 1)) % size);
        return rank.applyAsDouble(other) < rank.applyAsDouble(one) ? other : one;
    }

    @Override
    public void put(Candidate candidate) {
        if (indexes.putIfAbsent(candidate, candidates.size()) == null) {
            candidates.add(candidate);
        }
    }

    @Override
    public void remove(Candidate candidate) {
        Integer index = indexes.remove(candidate);
        if (index == null) {
            return;
        }
        Candidate last = candidates.remove(candidates.size() - 1);
        if (index < candidates.size()) {
            candidates.set(index, last);
            indexes.put(last, index);
        }
    }

    @Override
    public boolean isEmpty() {
        return candidates.isEmpty();
    }
}

package io.aitbc.coordinator.balance;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** Agents in no order, one drawn at random; each operation takes constant time. */
final class Draw implements Selection {
    private final RandomGenerator random;
    private final List<Candidate> candidates = new ArrayList<>();
    private final Map<String, Integer> indexes = new HashMap<>();

    Draw(RandomGenerator random) {
        this.random = random;
    }

    @Override
    public @Nullable Candidate next() {
        return candidates.isEmpty() ? null : candidates.get(random.nextInt(candidates.size()));
    }

    @Override
    public void put(Candidate candidate) {
        if (indexes.putIfAbsent(candidate.id(), candidates.size()) == null) {
            candidates.add(candidate);
        }
    }

    @Override
    public void remove(Candidate candidate) {
        Integer index = indexes.remove(candidate.id());
        if (index == null) {
            return;
        }
        Candidate last = candidates.remove(candidates.size() - 1);
        if (index < candidates.size()) {
            candidates.set(index, last);
            indexes.put(last.id(), index);
        }
    }

    @Override
    public boolean isEmpty() {
        return candidates.isEmpty();
    }
}

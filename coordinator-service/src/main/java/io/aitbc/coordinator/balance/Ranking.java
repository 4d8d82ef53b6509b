package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Orders agents by a rank that does not depend on the task, the lowest first. Among equals, the one chosen or added longest ago
 * comes first, so agents of equal rank take turns.
 */
final class Ranking implements Selection {
    private final ToDoubleFunction<Candidate> rank;
    private final CandidateHeap heap = new CandidateHeap();
    private final Map<Candidate, CandidateHeap.HeapEntry> entries = new IdentityHashMap<>();
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
        CandidateHeap.HeapEntry first = heap.first();
        return first == null ? null : first.candidate;
    }

    @Override
    public void chosen(Candidate candidate) {
        turns++;
        // The heap is updated by the put or remove that follows at once.
        Objects.requireNonNull(entries.get(candidate)).turn = turns;
    }

    @Override
    public void put(Candidate candidate) {
        CandidateHeap.HeapEntry place = entries.get(candidate);
        double now = rank.applyAsDouble(candidate);
        if (place == null) {
            place = new CandidateHeap.HeapEntry(candidate, now, turns);
            entries.put(candidate, place);
            heap.add(place);
        } else if (place.rank != now || place.turn == turns) {
            place.rank = now;
            heap.update(place);
        }
    }

    @Override
    public void remove(Candidate candidate) {
        CandidateHeap.HeapEntry place = entries.remove(candidate);
        if (place != null) {
            heap.remove(place);
        }
    }

    @Override
    public boolean isEmpty() {
        return heap.isEmpty();
    }
}

package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Selects agents in turn, in proportion to their weights and evenly spread: nginx's smooth weighted round robin (Maxim Dounin,
 * 2012). With each choice every agent's credit grows by its weight. The agent with the most credit is chosen, and its credit
 * falls by the sum of all weights. Weights 5, 1, 1 give a a b a c a a. The credit of an absent agent does not change.
 *
 * <p>Credits are kept per weight, not per agent. Agents of equal weight gain the same credit, so the order of their group stays
 * the same. A choice examines one agent per group, and there are as many groups as distinct weights.
 */
final class WeightedRoundRobin implements Selection {
    /** Weights are counted in thousandths, their smallest step, so that sums are exact. */
    private static final double STEPS = 1_000;

    /** Bound below which credits are exact. */
    private static final long MAX_CREDIT = 1L << 50;

    private final Map<Long, WeightGroup> groups = new LinkedHashMap<>();
    private final Map<Candidate, Entry> entries = new IdentityHashMap<>();
    private long total;
    private long arrivals;

    /** Agents of one weight, the one with the most credit first. */
    private static final class WeightGroup {
        final long weight;
        final CandidateHeap order = new CandidateHeap();
        /** Credit gained by every agent of this group, in addition to the individual rank. */
        long gained;

        WeightGroup(long weight) {
            this.weight = weight;
        }
    }

    /** An agent's state, whether present or absent. */
    private static final class Entry {
        final CandidateHeap.HeapEntry place;
        /** The agent's group; null while absent, when the rank holds its entire credit. */
        @Nullable
        WeightGroup group;

        Entry(CandidateHeap.HeapEntry place) {
            this.place = place;
        }
    }

    @Override
    public @Nullable Candidate next(Task task) {
        CandidateHeap.HeapEntry best = null;
        long most = 0;
        for (WeightGroup group : groups.values()) {
            CandidateHeap.HeapEntry first = group.order.first();
            if (first != null) {
                long credit = group.gained + group.weight - (long) first.rank;
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
        for (WeightGroup group : groups.values()) {
            group.gained += group.weight;
            if (group.gained > MAX_CREDIT) {
                foldGained(group);
            }
        }
        Entry entry = Objects.requireNonNull(entries.get(candidate));
        // The lowest rank comes first, so a rank is negative credit.
        entry.place.rank += total;
        Objects.requireNonNull(entry.group).order.update(entry.place);
    }

    @Override
    public void put(Candidate candidate) {
        long weight = Math.max(1, Math.round(candidate.agent().registration().weight() * STEPS));
        Entry entry =
                entries.computeIfAbsent(candidate, one -> new Entry(new CandidateHeap.HeapEntry(one, 0, arrivals++)));
        if (entry.group != null && entry.group.weight == weight) {
            return;
        }
        leave(entry);
        WeightGroup group = groups.computeIfAbsent(weight, WeightGroup::new);
        entry.place.rank += group.gained;
        entry.group = group;
        group.order.add(entry.place);
        total += weight;
    }

    @Override
    public void remove(Candidate candidate) {
        Entry entry = entries.get(candidate);
        if (entry != null) {
            leave(entry);
        }
    }

    @Override
    public void forget(Candidate candidate) {
        Entry entry = entries.remove(candidate);
        if (entry != null) {
            leave(entry);
        }
    }

    @Override
    public boolean isEmpty() {
        return total == 0;
    }

    private void leave(Entry entry) {
        WeightGroup group = entry.group;
        if (group != null) {
            group.order.remove(entry.place);
            entry.place.rank -= group.gained;
            entry.group = null;
            total -= group.weight;
            if (group.order.isEmpty()) {
                groups.remove(group.weight);
            }
        }
    }

    private void foldGained(WeightGroup group) {
        for (Entry entry : entries.values()) {
            if (entry.group == group) {
                entry.place.rank -= group.gained;
            }
        }
        group.gained = 0;
    }
}

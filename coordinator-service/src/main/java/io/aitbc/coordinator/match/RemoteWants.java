package io.aitbc.coordinator.match;

import io.aitbc.contracts.Resources;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The demand of other lanes for agents that were full when they reported it. */
final class RemoteWants {
    private static final int MAX_LOOKED_AT = 32;

    private final Agents agents;
    private List<Want> all = List.of();
    private Map<String, List<Want>> byCoordinator = Map.of();
    /** The longest waiting first. */
    private final List<Aged> aged = new ArrayList<>();

    /** A want of aged tasks. */
    static final class Aged {
        final String coordinatorId;
        private final Want want;
        private final Instant since;
        /** How many more slots may be yielded to it before its next report. */
        int slots;

        Aged(String coordinatorId, Want want, Want.Aged aged) {
            this.coordinatorId = coordinatorId;
            this.want = want;
            this.since = aged.since();
            this.slots = aged.tasks();
        }

        Instant since() {
            return since;
        }
    }

    RemoteWants(Agents agents) {
        this.agents = agents;
    }

    /**
     * Replaces all wants.
     *
     * @param elsewhere wants by coordinator
     */
    void set(Map<String, List<Want>> elsewhere) {
        byCoordinator = Map.copyOf(elsewhere);
        all = elsewhere.values().stream().flatMap(List::stream).toList();
        aged.clear();
        elsewhere.forEach((coordinatorId, wants) -> wants.forEach(want -> {
            if (want.aged() != null) {
                aged.add(new Aged(coordinatorId, want, want.aged()));
            }
        }));
        aged.sort(Comparator.comparing(Aged::since).thenComparing(one -> one.coordinatorId));
    }

    /** Whether an agent must be left to a more urgent task of another lane. */
    boolean isWantedByMoreUrgent(Member member, int level) {
        for (Want want : all) {
            if (want.level() < level && isFor(want, member)) {
                return true;
            }
        }
        return false;
    }

    /** Whether an agent could take the tasks of a want once it has a free slot. If too little of its resources is left, it need not be left to them. */
    private boolean isFor(Want want, Member member) {
        return agents.couldTake(member, want.requirements())
                && member.candidate.lacking(want.requirements().resources()) == 0;
    }

    /** Adds what tasks of other lanes take. */
    void addResources(Set<Resources> resources) {
        all.forEach(want -> resources.add(want.requirements().resources()));
    }

    /** Whether a coordinator has tasks of a priority for an agent. */
    boolean isWantedBy(String coordinatorId, int level, Member member) {
        for (Want want : byCoordinator.getOrDefault(coordinatorId, List.of())) {
            if (want.level() == level && isFor(want, member)) {
                return true;
            }
        }
        return false;
    }

    /** Whether another coordinator has tasks of a priority for some agent of a pool, as far as a part of the agents shows. */
    boolean competes(Pool pool, int level) {
        int looked = 0;
        for (Member member : pool.members()) {
            for (Want want : all) {
                if (want.level() == level && agents.couldTake(member, want.requirements())) {
                    return true;
                }
            }
            looked++;
            if (looked == MAX_LOOKED_AT) {
                break;
            }
        }
        // The first report of a lane that begins to compete.
        return all.isEmpty() && looked > 0;
    }

    /** The aged want with the longest wait that is less urgent than this level and that an agent could satisfy; null if there is none. */
    @Nullable
    Aged longestAged(int level, Member member) {
        for (Aged one : aged) {
            if (one.want.level() > level && one.slots > 0 && isFor(one.want, member)) {
                return one;
            }
        }
        return null;
    }
}

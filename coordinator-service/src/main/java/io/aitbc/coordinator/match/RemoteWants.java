package io.aitbc.coordinator.match;

import io.aitbc.contracts.Requirements;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
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
            if (want.level() < level && agents.couldTake(member, want.requirements())) {
                return true;
            }
        }
        return false;
    }

    /** Whether another lane has tasks with certain requirements. */
    boolean any(Predicate<Requirements> condition) {
        return all.stream().anyMatch(want -> condition.test(want.requirements()));
    }

    /** Whether a coordinator has tasks of a priority for an agent. */
    boolean isWantedBy(String coordinatorId, int level, Member member) {
        for (Want want : byCoordinator.getOrDefault(coordinatorId, List.of())) {
            if (want.level() == level && agents.couldTake(member, want.requirements())) {
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
            if (one.want.level() > level && one.slots > 0 && agents.couldTake(member, one.want.requirements())) {
                return one;
            }
        }
        return null;
    }
}

package io.aitbc.coordinator.match;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How this lane and those of other coordinators share, within a priority, the agents that both want: in proportion to the weights of the keys that
 * wait in them. A key that waits in several lanes counts for a part in each. A lane that is ahead of another yields slots to it. Placements that no
 * other lane competes for do not count.
 *
 * <p>Example: lane one has keys of weights 1 and 2, lane two has one of weight 1. Lane one may place three tasks for each task of lane two.
 */
final class LaneBalance {
    /** With more keys than these in a lane, each has few tasks: they are likely to be spread over all lanes. */
    static final int MAX_KEYS = 1_000;
    /** Tasks that lanes may be apart before they yield. */
    private static final int MIN_SLACK = 4;
    /** Tasks that a lane may be behind, if it took longer than a second to place these. */
    private static final int MAX_LAG = 16;

    private static final Duration MEMORY = Duration.ofSeconds(1);
    /** Each lane knows how far the others were up to a quarter of a second ago. */
    private static final int REPORTS_IN_MEMORY = 4;

    private double progress;
    /** What a placement adds to it: one over the weights of the keys that compete. */
    private double step = 1;
    /** The last reports, not older than a second. */
    private final Deque<Sample> samples = new ArrayDeque<>();

    private Set<Integer> keys = Set.of();
    private List<Other> others = List.of();

    private record Sample(Instant at, double progress) {}

    /** Another lane, as of its last report. */
    static final class Other {
        final String coordinatorId;
        private final LaneTime reported;
        private final double slack;
        private final boolean hasSameKeys;
        /** Differs from what was reported by what it was yielded since. */
        private double progress;

        private Other(String coordinatorId, LaneTime reported, double slack, boolean hasSameKeys) {
            this.coordinatorId = coordinatorId;
            this.reported = reported;
            this.slack = slack;
            this.hasSameKeys = hasSameKeys;
            this.progress = reported.time();
        }

        /** Notes that it was yielded a slot. */
        void yielded() {
            progress += reported.step();
        }
    }

    /** In how many lanes a key waits, including this one. */
    int lanes(FairClock.Share share) {
        int lanes = 1;
        for (Other other : others) {
            if (other.hasSameKeys || other.reported.keys().contains(share.key.hashCode())) {
                lanes++;
            }
        }
        return lanes;
    }

    /**
     * Where this lane stands, a few times a second while it competes.
     *
     * @param competing the keys that wait for agents which others may want as well
     */
    LaneTime report(int level, Collection<FairClock.Share> competing, Instant now) {
        double weights = 0;
        Set<Integer> hashes = new HashSet<>();
        for (FairClock.Share share : competing) {
            weights += share.weight();
            hashes.add(share.key.hashCode());
        }
        keys = hashes.size() > MAX_KEYS ? Set.of() : hashes;
        step = weights == 0 ? 1 : 1 / weights;
        samples.removeIf(sample -> sample.at.isAfter(now) || sample.at.isBefore(now.minus(MEMORY)));
        samples.add(new Sample(now, progress));
        return new LaneTime(level, progress, Math.min(progress, samples.element().progress), step, keys);
    }

    /** Replaces what is known of the lanes of other coordinators. */
    void setOthers(Map<String, LaneTime> reports, Instant now) {
        if (reports.isEmpty()) {
            others = List.of();
            return;
        }
        boolean isCompeting = !samples.isEmpty() && !samples.getLast().at.isBefore(now.minus(MEMORY));
        double placed = isCompeting ? Math.max(0, (progress - samples.element().progress) / step) : 0;
        List<Other> lanes = new ArrayList<>();
        reports.forEach((coordinatorId, report) -> {
            // As far as it may have come since its report, if all that both place goes to it.
            double advance = (report.time() - report.earlier() + placed * report.step()) / REPORTS_IN_MEMORY;
            boolean hasSameKeys =
                    report.keys().isEmpty() || keys.isEmpty() || report.keys().equals(keys);
            lanes.add(new Other(coordinatorId, report, Math.max(MIN_SLACK * report.step(), advance), hasSameKeys));
            // One that did not compete has saved up nothing. With the same keys, each lane gives them their shares,
            // whatever the lanes have.
            progress = Math.max(
                    progress,
                    isCompeting && !hasSameKeys
                            ? Math.min(report.earlier(), report.time() - MAX_LAG * report.step())
                            : report.time());
        });
        others = lanes;
    }

    /** The lanes of other coordinators that compete. */
    List<Other> others() {
        return others;
    }

    /** Whether another lane is behind by more than can be due to its old report. */
    boolean isBehind(Other other) {
        return !other.hasSameKeys && progress - other.progress > other.slack;
    }

    /** Counts a placement on an agent that another lane wants. */
    void placed() {
        progress += step;
    }

    /** Takes the count of such a placement back, because the other lane was faster. */
    void refused() {
        progress = Math.max(0, progress - step);
    }
}

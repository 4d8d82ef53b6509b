package io.aitbc.coordinator.match;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which fairness key is next: the one with the lowest start tag. Each task moves the start tag of its key on by one over its weight, so that
 * keys get shares in proportion to their weights, whatever their backlogs. Start-time fair queueing, by Goyal, Vin and Cheng (SIGCOMM 1996).
 *
 * <p>Example: key {@code a} of weight 2 and {@code b} of weight 1 both have tasks waiting. Of each three placements, {@code a} gets two.
 *
 * <p>Other lanes do the same with their tasks. A key with tasks in several lanes pays as many times as much in each. A lane that is ahead of
 * another, in this time, yields slots to it.
 */
final class FairClock {
    /**
     * How many tasks a key may be behind. A key whose tasks wait for other agents than most must not claim what others got meanwhile. Yet one
     * that can use only some of the agents is next on those, which takes more than one task.
     */
    private static final int MAX_LAG = 2;
    /** Above this many shares, those that make no difference are dropped. */
    private static final int MAX_IDLE = 256;
    /** With more keys than these in a lane, each has few tasks: they are likely to be spread over all lanes. */
    private static final int MAX_REPORTED = 1_000;
    /** Tasks that lanes may be apart before they yield; each knows how far the others were up to a quarter of a second ago. */
    private static final int MIN_SLACK = 4;

    private static final Duration MEMORY = Duration.ofSeconds(1);
    private static final int REPORTS_IN_MEMORY = 4;

    private final Map<String, Share> shares = new HashMap<>();
    private int sharesBeforePurge = MAX_IDLE;
    /** The start tag of the task that was placed last, or of an earlier one if that is higher. */
    private double time;

    /** What a placement adds to it, on average. */
    private double step = 1;

    private final Deque<Sample> samples = new ArrayDeque<>();
    private List<OtherLane> others = List.of();

    private record Sample(Instant at, double time) {}

    /** What one key has been given. */
    static final class Share {
        final String key;
        /** The queues that refer to it. */
        private int queues;
        /** Those of them that have tasks. */
        private int waiting;

        private double start;
        /** What the last placement cost. */
        private double cost = 1;
        /** What was charged for placements that the registry refused. */
        private double credit;

        private Share(String key, double start) {
            this.key = key;
            this.start = start;
        }

        /** Its start tag; never decreases. */
        double start() {
            return start;
        }
    }

    /** Another lane, as of its last report. */
    static final class OtherLane {
        final String coordinatorId;
        private final LaneTime reported;
        /** Differs from what was reported by what it was yielded since. */
        private double time;

        private final double slack;
        private final boolean hasSameKeys;

        private OtherLane(String coordinatorId, LaneTime reported, double slack, boolean hasSameKeys) {
            this.coordinatorId = coordinatorId;
            this.reported = reported;
            this.time = reported.time();
            this.slack = slack;
            this.hasSameKeys = hasSameKeys;
        }

        /** Notes that it was yielded a slot. */
        void yielded() {
            time += reported.step();
        }
    }

    /** The share of a key, for a queue of its tasks, until {@link #release}. */
    Share acquire(String key) {
        if (shares.size() > sharesBeforePurge) {
            shares.values().removeIf(share -> share.queues == 0 && share.start <= time);
            sharesBeforePurge = Math.max(MAX_IDLE, 2 * shares.size());
        }
        Share share = shares.computeIfAbsent(key, unknown -> new Share(unknown, time));
        share.queues++;
        return share;
    }

    void release(Share share) {
        share.queues--;
    }

    /** Counts a queue of the key that has got tasks. If it is the first, the key has saved up nothing meanwhile. */
    void resume(Share share) {
        if (share.waiting == 0) {
            share.start = Math.max(share.start, time);
        }
        share.waiting++;
    }

    /** Counts a queue of the key that has become empty. */
    void pause(Share share) {
        share.waiting--;
    }

    /** Charges a placement. */
    void charge(Share share, double weight) {
        time = Math.max(time, share.start);
        double cost = cost(share, weight);
        double charged = Math.max(0, cost - share.credit);
        share.credit -= cost - charged;
        share.start = Math.max(share.start, time - MAX_LAG * cost) + charged;
        share.cost = cost;
    }

    private double cost(Share share, double weight) {
        int lanes = 1;
        for (OtherLane other : others) {
            if (other.hasSameKeys || other.reported.keys().contains(share.key.hashCode())) {
                lanes++;
            }
        }
        return lanes / weight;
    }

    /** Takes a charge back: the next placements of the key are free to that extent. */
    void refund(String key, double weight) {
        Share share = shares.get(key);
        if (share != null) {
            share.credit += cost(share, weight);
        }
    }

    // Between lanes

    /** Where this lane stands; null if it has no tasks. */
    @Nullable
    LaneTime report(int level, Instant now) {
        Set<Integer> keys = keys();
        double rate = 0;
        for (Share share : shares.values()) {
            rate += share.waiting > 0 ? 1 / share.cost : 0;
        }
        step = rate == 0 ? 1 : 1 / rate;
        samples.removeIf(sample -> sample.at.isAfter(now));
        samples.add(new Sample(now, time));
        while (samples.size() > REPORTS_IN_MEMORY + 1
                || samples.size() > 1 && samples.element().at.isBefore(now.minus(MEMORY))) {
            samples.remove();
        }
        return rate == 0
                ? null
                : new LaneTime(level, time, samples.element().time, step, keys.size() > MAX_REPORTED ? Set.of() : keys);
    }

    private Set<Integer> keys() {
        Set<Integer> keys = new HashSet<>();
        for (Share share : shares.values()) {
            if (share.waiting > 0) {
                keys.add(share.key.hashCode());
            }
        }
        return keys;
    }

    /** Replaces what is known of the lanes of other coordinators. */
    void setOthers(Map<String, LaneTime> reports) {
        if (reports.isEmpty()) {
            others = List.of();
            return;
        }
        Set<Integer> keys = keys();
        double placed = samples.isEmpty() ? 0 : (time - samples.element().time) / step;
        List<OtherLane> lanes = new ArrayList<>();
        reports.forEach((coordinatorId, report) -> {
            // As far as it may have come since its report, if all that both place goes to it.
            double advance = (report.time() - report.earlier() + placed * report.step()) / REPORTS_IN_MEMORY;
            boolean hasSameKeys = report.keys().isEmpty()
                    || keys.size() > MAX_REPORTED
                    || report.keys().equals(keys);
            lanes.add(new OtherLane(coordinatorId, report, Math.max(MIN_SLACK * report.step(), advance), hasSameKeys));
            catchUp(report.earlier());
        });
        others = lanes;
    }

    /** A lane that has been idle, or is new, has saved up nothing. */
    private void catchUp(double to) {
        double late = to - time;
        if (late > 0) {
            time += late;
            shares.values().forEach(share -> share.start += late);
            samples.clear();
        }
    }

    /** The lanes that are behind a key of this one by more than can be due to old reports. */
    List<OtherLane> behind(Share share) {
        List<OtherLane> behind = new ArrayList<>(0);
        for (OtherLane other : others) {
            if (!other.hasSameKeys && share.start - other.time > other.slack) {
                behind.add(other);
            }
        }
        return behind;
    }
}

package io.aitbc.coordinator.match;

import java.util.HashMap;
import java.util.Map;

/**
 * Which fairness key is next: the one with the lowest start tag. Each task moves the start tag of its key on by one over its weight, so that
 * keys get shares in proportion to their weights, whatever their backlogs. Start-time fair queueing, by Goyal, Vin and Cheng (SIGCOMM 1996), with a
 * clock that also advances while only new keys are served.
 *
 * <p>Example: key {@code a} of weight 2 and {@code b} of weight 1 both have tasks waiting. Of each three placements, {@code a} gets two.
 */
final class FairClock {
    /**
     * How many tasks a key may be behind. A key whose tasks wait for other agents than most must not claim what others got meanwhile. Yet one
     * that can use only some of the agents is next on those, which takes more than one task.
     */
    private static final int MAX_LAG = 2;
    /** Above this many shares, those that make no difference are dropped. */
    private static final int MAX_IDLE = 256;
    /** Then all tags are reduced: sums with the cost of a task of the highest weight must stay accurate. */
    private static final double MAX_TIME = 1e9;

    private final Map<String, Share> shares = new HashMap<>();
    private int sharesBeforePurge = MAX_IDLE;
    /** About the mean of the start tags of the keys that are served. */
    private double time;
    /** The highest start tag. */
    private double latest;
    /** The sum of the weights of the keys with tasks. */
    private double weights;
    /** The number of keys with tasks. */
    private int active;

    /** What one key has been given. */
    static final class Share {
        final String key;
        /** The queues that refer to it. */
        private int queues;
        /** Those of them that have tasks. */
        private int waiting;

        private double start;
        /** What the last placement cost, or the next one is expected to. */
        private double cost = 1;

        private Share(String key, double start) {
            this.key = key;
            this.start = start;
        }

        /** Its start tag. Decreases only by {@link #refund}, {@link #reweigh} and {@link #reset}. */
        double start() {
            return start;
        }

        /** Its weight beside those of other keys, as of the last placement. */
        double weight() {
            return 1 / cost;
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

    /** The number of keys that are remembered. */
    int size() {
        return shares.size();
    }

    /**
     * Counts a queue of the key that has got tasks. If it is the first, the key has saved up nothing meanwhile.
     *
     * @param cost one over the weight, as far as known
     */
    void resume(Share share, double cost) {
        if (share.waiting == 0) {
            share.start = Math.max(share.start, time);
            share.cost = cost;
            active++;
            weights += share.weight();
        }
        share.waiting++;
    }

    /** Counts a queue of the key that has become empty. */
    void pause(Share share) {
        share.waiting--;
        if (share.waiting == 0) {
            active--;
            weights -= share.weight();
        }
        if (active == 0) {
            // No key has saved up or owes anything.
            time = latest;
            weights = 0;
        }
    }

    /**
     * Charges a placement.
     *
     * @param cost one over the weight
     */
    void charge(Share share, double cost) {
        setCost(share, cost);
        time = Math.max(time + step(share), share.start);
        share.start = Math.max(share.start, time - maxLag(share)) + cost;
        latest = Math.max(latest, share.start);
    }

    /** What a placement adds to the time. */
    private double step(Share share) {
        return 1 / Math.max(weights, share.weight());
    }

    private double maxLag(Share share) {
        return MAX_LAG * Math.max(share.cost, active / Math.max(weights, share.weight()));
    }

    private void setCost(Share share, double cost) {
        if (share.cost != cost) {
            weights += share.waiting > 0 ? 1 / cost - share.weight() : 0;
            share.cost = cost;
        }
    }

    /** Takes a charge back. The places of the key's queues may have to be set. */
    void refund(String key) {
        Share share = shares.get(key);
        if (share != null) {
            time = Math.max(0, time - step(share));
            share.start = Math.max(share.start - share.cost, time - maxLag(share));
        }
    }

    /** Applies another weight to what a key has been charged but not been given yet. The places of its queues have to be set. */
    void reweigh(String key, double cost) {
        Share share = shares.get(key);
        if (share != null) {
            if (share.start > time) {
                share.start = time + Math.min(1, cost / share.cost) * (share.start - time);
            }
            setCost(share, cost);
        }
    }

    /** Whether tags have become so high that they must be {@link #reset}. */
    boolean isLate() {
        return latest > MAX_TIME;
    }

    /** Reduces all tags by the same amount. The places of all queues have to be set. */
    void reset() {
        double by = time;
        shares.values().forEach(share -> share.start -= by);
        latest -= by;
        time = 0;
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What the fairness keys have been given, by priority, and of the aged share. Tasks without a key share an empty one. */
final class FairShares {
    private final List<FairClock> byLevel =
            Stream.generate(FairClock::new).limit(Priority.values().length).toList();
    private final FairClock aged = new FairClock();
    private final List<LaneBalance> lanes =
            Stream.generate(LaneBalance::new).limit(Priority.values().length).toList();
    private Map<String, Double> weights = Map.of();
    private int queues;

    static String key(Task task) {
        return Objects.requireNonNullElse(task.fairnessKey(), "");
    }

    /**
     * Replaces the weights that operators have set; they take precedence over those of tasks.
     *
     * @return the keys whose places have to be set
     */
    Set<String> setWeights(Map<String, Double> newer) {
        Set<String> changed = new HashSet<>(newer.keySet());
        changed.addAll(weights.keySet());
        changed.removeIf(key -> Objects.equals(newer.get(key), weights.get(key)));
        weights = Map.copyOf(newer);
        for (String key : changed) {
            double cost = 1 / weights.getOrDefault(key, 1.0);
            byLevel.forEach(clock -> clock.reweigh(key, cost));
            aged.reweigh(key, cost);
        }
        return changed;
    }

    private double weightOf(Task task) {
        Double set = weights.isEmpty() ? null : weights.get(key(task));
        if (set != null) {
            return set;
        }
        Double own = task.fairnessWeight();
        return own == null ? 1 : own;
    }

    /** How this lane shares agents with others. */
    LaneBalance lanes(int level) {
        return lanes.get(level);
    }

    /** A queue for the tasks of a key, until {@link #close}. */
    KeyQueue open(int level, String key) {
        queues++;
        return new KeyQueue(byLevel.get(level).acquire(key), aged.acquire(key));
    }

    void close(int level, KeyQueue queue) {
        queues--;
        byLevel.get(level).release(queue.share);
        aged.release(queue.agedShare);
    }

    /** The number of open queues. */
    int queues() {
        return queues;
    }

    /** The number of keys that are remembered. */
    int size() {
        return aged.size() + byLevel.stream().mapToInt(FairClock::size).sum();
    }

    /**
     * Notes that an empty queue has got tasks.
     *
     * @param first null if its payload is not in memory
     */
    void resume(int level, KeyQueue queue, @Nullable WaitingTask first) {
        byLevel.get(level)
                .resume(
                        queue.share,
                        first == null
                                ? 1 / queue.share.weight()
                                : lanes.get(level).lanes(queue.share) / weightOf(first.task()));
    }

    /** Notes that a queue has become empty. */
    void pause(int level, KeyQueue queue) {
        byLevel.get(level).pause(queue.share);
    }

    /** Notes that a queue without aged tasks has got one. */
    void resumeAged(KeyQueue queue) {
        aged.resume(queue.agedShare, 1 / queue.agedShare.weight());
    }

    /** Notes that a queue has no aged tasks any more. */
    void pauseAged(KeyQueue queue) {
        aged.pause(queue.agedShare);
    }

    /** Charges the placement of a task, in its turn. */
    void charge(int level, KeyQueue queue, Task task) {
        byLevel.get(level).charge(queue.share, lanes.get(level).lanes(queue.share) / weightOf(task));
    }

    /** Charges the placement of an aged task. */
    void chargeAged(KeyQueue queue, Task task) {
        aged.charge(queue.agedShare, 1 / weightOf(task));
    }

    /**
     * Takes the charge of a placement back that took no slot.
     *
     * @param wasAged whether it was a placement in the aged share
     */
    void refund(int level, Task task, boolean wasAged) {
        (wasAged ? aged : byLevel.get(level)).refund(key(task));
    }

    /** Reduces tags that have become too high; returns whether the places of all queues have to be set. */
    boolean resetLate() {
        boolean isLate = resetLate(aged);
        for (FairClock clock : byLevel) {
            isLate |= resetLate(clock);
        }
        return isLate;
    }

    private static boolean resetLate(FairClock clock) {
        if (clock.isLate()) {
            clock.reset();
            return true;
        }
        return false;
    }
}

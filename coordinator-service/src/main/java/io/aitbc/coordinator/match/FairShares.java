package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** What the fairness keys have been given, by priority, and of the aged share. Tasks without a key share an empty one. */
final class FairShares {
    private final List<FairClock> byLevel =
            Stream.generate(FairClock::new).limit(Priority.values().length).toList();
    private final FairClock aged = new FairClock();
    private Map<String, Double> weights = Map.of();
    private int queues;

    static String key(Task task) {
        return Objects.requireNonNullElse(task.fairnessKey(), "");
    }

    /** Replaces the weights that operators have set; they take precedence over those of tasks. */
    void setWeights(Map<String, Double> weights) {
        this.weights = Map.copyOf(weights);
    }

    private double weightOf(Task task) {
        Double set = weights.isEmpty() ? null : weights.get(key(task));
        return set != null ? set : Objects.requireNonNullElse(task.fairnessWeight(), 1.0);
    }

    /** How far this lane has come, for those levels at which it lacks agents. */
    List<LaneTime> report(Set<Integer> levels, Instant now) {
        List<LaneTime> times = new ArrayList<>();
        for (int level : levels) {
            LaneTime time = byLevel.get(level).report(level, now);
            if (time != null) {
                times.add(time);
            }
        }
        return times;
    }

    /** Replaces what is known of the lanes of other coordinators. */
    void setOthers(Map<String, List<LaneTime>> reports) {
        List<Map<String, LaneTime>> byLevelAndCoordinator = Stream.generate(
                        (Supplier<Map<String, LaneTime>>) TreeMap::new)
                .limit(byLevel.size())
                .toList();
        reports.forEach((coordinatorId, times) ->
                times.forEach(time -> byLevelAndCoordinator.get(time.level()).put(coordinatorId, time)));
        for (int level = 0; level < byLevel.size(); level++) {
            byLevel.get(level).setOthers(byLevelAndCoordinator.get(level));
        }
    }

    /** The lanes that are behind a key of this one. */
    List<FairClock.OtherLane> behind(int level, KeyQueue queue) {
        return byLevel.get(level).behind(queue.share);
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

    /** Notes that an empty queue has got tasks. */
    void resume(int level, KeyQueue queue) {
        byLevel.get(level).resume(queue.share);
    }

    /** Notes that a queue has become empty. */
    void pause(int level, KeyQueue queue) {
        byLevel.get(level).pause(queue.share);
    }

    /** Notes that a queue without aged tasks has got one. */
    void resumeAged(KeyQueue queue) {
        aged.resume(queue.agedShare);
    }

    /** Notes that a queue has no aged tasks any more. */
    void pauseAged(KeyQueue queue) {
        aged.pause(queue.agedShare);
    }

    /** Charges the placement of a task, in its turn. */
    void charge(int level, KeyQueue queue, Task task) {
        byLevel.get(level).charge(queue.share, weightOf(task));
    }

    /** Charges the placement of an aged task. */
    void chargeAged(KeyQueue queue, Task task) {
        aged.charge(queue.agedShare, weightOf(task));
    }

    /** Takes the charge of a placement back that the registry refused. */
    void refund(int level, Task task) {
        byLevel.get(level).refund(key(task), weightOf(task));
    }
}

package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;

/** Events per second by priority: an exponentially weighted average with most weight on the last ten seconds. */
final class Rates {
    private static final double TIME_CONSTANT_SECONDS = 10;

    /** Counts by priority ordinal. */
    private final long[] counted = new long[Priority.values().length];

    private final Map<Priority, Double> rates = new EnumMap<>(Priority.class);

    void count(Priority priority, int events) {
        counted[priority.ordinal()] += events;
    }

    /** Closes an interval and returns the rates. */
    Map<Priority, Double> closeInterval(double seconds) {
        double weight = 1 - Math.exp(-seconds / TIME_CONSTANT_SECONDS);
        for (Priority priority : Priority.values()) {
            double current = counted[priority.ordinal()] / seconds;
            double before = rates.getOrDefault(priority, 0.0);
            double rate = before + weight * (current - before);
            rates.put(priority, rate < 0.001 ? 0 : rate);
        }
        Arrays.fill(counted, 0);
        return new EnumMap<>(rates);
    }
}

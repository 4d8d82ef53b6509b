package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;

/** Events per second by priority: an exponentially weighted average, to which the last ten seconds contribute most. */
final class Rates {
    private static final double SECONDS_REMEMBERED = 10;

    /** By priority, in their order. */
    private final long[] counted = new long[Priority.values().length];

    private final Map<Priority, Double> rates = new EnumMap<>(Priority.class);

    void count(Priority priority) {
        counted[priority.ordinal()]++;
    }

    /** Closes an interval and gives the rates. */
    Map<Priority, Double> roll(double seconds) {
        double weight = 1 - Math.exp(-seconds / SECONDS_REMEMBERED);
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

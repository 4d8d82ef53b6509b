package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumMap;
import java.util.Map;

/** Events per second by priority, over the last ten seconds. */
final class Rates {
    private static final double WINDOW_SECONDS = 10;

    private final Deque<Interval> intervals = new ArrayDeque<>();
    /** Counts of the current interval, by priority ordinal. */
    private long[] counted = new long[Priority.values().length];

    private double seconds;

    private record Interval(double seconds, long[] counted) {}

    void count(Priority priority, int events) {
        counted[priority.ordinal()] += events;
    }

    /** Closes an interval and returns the rates. */
    Map<Priority, Double> closeInterval(double length) {
        intervals.addLast(new Interval(length, counted));
        counted = new long[counted.length];
        seconds += length;
        while (seconds - intervals.getFirst().seconds >= WINDOW_SECONDS) {
            seconds -= intervals.removeFirst().seconds;
        }
        Map<Priority, Double> rates = new EnumMap<>(Priority.class);
        for (Priority priority : Priority.values()) {
            long sum = intervals.stream()
                    .mapToLong(interval -> interval.counted[priority.ordinal()])
                    .sum();
            rates.put(priority, sum / seconds);
        }
        return rates;
    }
}

package io.aitbc.benchmarks.report;

import java.util.List;

/** Median of measurements. */
public final class Medians {
    private Medians() {}

    /** Returns the median; the upper one for an even number. */
    public static double of(List<Double> values) {
        return values.stream().sorted().toList().get(values.size() / 2);
    }
}

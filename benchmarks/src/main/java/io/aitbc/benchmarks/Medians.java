package io.aitbc.benchmarks;

import java.util.List;

/** Median of measurements. */
final class Medians {
    private Medians() {}

    /** Returns the median; the upper one for an even number. */
    static double of(List<Double> values) {
        return values.stream().sorted().toList().get(values.size() / 2);
    }
}

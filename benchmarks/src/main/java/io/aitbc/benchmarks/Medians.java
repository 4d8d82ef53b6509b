package io.aitbc.benchmarks;

import java.util.List;

/** The middle of some measurements. */
final class Medians {
    private Medians() {}

    /** Of an even number the higher of the two in the middle. */
    static double of(List<Double> values) {
        return values.stream().sorted().toList().get(values.size() / 2);
    }
}

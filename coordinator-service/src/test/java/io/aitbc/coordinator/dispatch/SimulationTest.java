package io.aitbc.coordinator.dispatch;

import static org.assertj.core.api.Assertions.fail;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/**
 * Lanes in made-up worlds where all goes wrong that can. A world is a number: to see one again, run this class with
 * {@code -Dsimulation.seed=<number>}; for other worlds, {@code -Dsimulation.first=<number> -Dsimulation.count=<how many>}.
 */
class SimulationTest {
    @Test
    void promisesHoldInEveryWorld() {
        String one = System.getProperty("simulation.seed");
        long first = Long.getLong("simulation.first", 1);
        LongStream seeds = one == null
                ? LongStream.range(first, first + Long.getLong("simulation.count", 2_000))
                : LongStream.of(Long.parseLong(one));
        seeds.forEach(seed -> {
            try {
                new SimulatedCluster(seed).run();
            } catch (AssertionError | RuntimeException e) {
                fail("world " + seed + ": " + e.getMessage() + " (again with -Dsimulation.seed=" + seed + ")", e);
            }
        });
    }
}

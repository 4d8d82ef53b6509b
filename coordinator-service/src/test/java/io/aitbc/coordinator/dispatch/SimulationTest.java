package io.aitbc.coordinator.dispatch;

import static org.assertj.core.api.Assertions.fail;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/**
 * Runs lanes in random worlds with all faults injected. Each world has a number: to repeat one, run this class with {@code
 * -Dsimulation.seed=<number>}; for other worlds, {@code -Dsimulation.first=<number> -Dsimulation.count=<how many>}.
 */
class SimulationTest {
    @Test
    void guaranteesHoldInEveryWorld() {
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

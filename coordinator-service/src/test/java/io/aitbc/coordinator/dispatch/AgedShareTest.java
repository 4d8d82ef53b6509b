package io.aitbc.coordinator.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Priority;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * P3 under load: the delay that an old backlog causes for urgent tasks, and the share of agents that it gets, in one lane and across lanes.
 */
class AgedShareTest {
    private static final int AGENTS = 60;
    private static final int LOW = 20_000;
    private static final Duration LONG_AGED = SimulatedLoad.AGING_INTERVAL.multipliedBy(5);

    @ParameterizedTest(name = "{0} lanes")
    @CsvSource({"1", "2"})
    void anUrgentTaskWaitsNoLongerBehindAnOldBacklogThanBehindAFreshOne(int lanes) {
        List<Duration> behindFresh = new ArrayList<>();
        List<Duration> behindAged = new ArrayList<>();
        for (long seed = 1; seed <= 2; seed++) {
            behindFresh.addAll(urgentBehindLow(seed, lanes, Duration.ZERO));
            behindAged.addAll(urgentBehindLow(seed, lanes, LONG_AGED));
        }

        assertThat(behindFresh).hasSizeGreaterThan(1_000);
        assertThat(percentile(behindAged, 99))
                .as("p99 behind aged, ms; p50 %s and %s", percentile(behindFresh, 50), percentile(behindAged, 50))
                .isLessThanOrEqualTo(1.3 * percentile(behindFresh, 99));
    }

    /** Returns the waiting times of urgent tasks in the first lane behind a backlog of low-priority tasks in the last. */
    private static List<Duration> urgentBehindLow(long seed, int lanes, Duration waited) {
        SimulatedLoad load = new SimulatedLoad(seed, lanes, AGENTS, Duration.ofSeconds(1));
        load.submit(lanes - 1, Priority.LOW, LOW, waited);
        load.run(Duration.ofSeconds(3));
        load.stream(0, Priority.URGENT, Duration.ofMillis(200));
        load.run(Duration.ofSeconds(150));
        assertThat(load.assigned(Priority.LOW)).isBetween(LOW / 4, LOW - 1_000);
        return load.waits.get(Priority.URGENT);
    }

    @ParameterizedTest(name = "urgent in lane {0} of {1}, aged in {2}, tasks of {3} ms")
    @CsvSource({
        "0, 1, 0, 1000",
        "0, 2, 1, 1000",
        "1, 2, 0, 1000",
        "2, 3, 0, 1000",
        "0, 2, 1, 50",
        "0, 2, 1, 10",
    })
    void agedTasksHaveTheirShareWhicheverLaneTheyWaitIn(int urgentIn, int lanes, int agedIn, int taskMs) {
        SimulatedLoad load = new SimulatedLoad(1, lanes, AGENTS, Duration.ofMillis(taskMs));
        load.submit(agedIn, Priority.LOW, 10_000, LONG_AGED);
        load.submit(urgentIn, Priority.URGENT, 30_000, Duration.ZERO);
        // Lets the lanes exchange their wants.
        load.run(Duration.ofMillis(300));
        int lowBefore = load.assigned(Priority.LOW);
        int urgentBefore = load.assigned(Priority.URGENT);

        load.run(Duration.ofMillis(100L * taskMs));

        int low = load.assigned(Priority.LOW) - lowBefore;
        int urgent = load.assigned(Priority.URGENT) - urgentBefore;
        assertThat((double) low / (low + urgent))
                .as("share of %d", low + urgent)
                .isBetween(0.05, 0.15);
        assertThat(urgent + low).as("agents are kept busy").isGreaterThan((int)
                (AGENTS * 100 * (taskMs < 50 ? 0.5 : 0.9)));
    }

    private static double percentile(List<Duration> durations, int percentile) {
        List<Duration> sorted = durations.stream().sorted().toList();
        return sorted.get(sorted.size() * percentile / 100).toNanos() / 1e6;
    }
}

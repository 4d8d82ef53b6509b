package io.aitbc.coordinator.dispatch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.aitbc.contracts.Priority;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RatesTest {
    private final Rates rates = new Rates();

    @Test
    void allAreZeroBeforeAnythingHappens() {
        assertThat(rates.closeInterval(1))
                .containsOnlyKeys(Priority.values())
                .allSatisfy((priority, rate) -> assertThat(rate).isZero());
    }

    @ParameterizedTest(name = "looked at every {0} s")
    @ValueSource(doubles = {0.5, 1, 2.5})
    void steadyEventsConvergeToTheirRateAtAnyInterval(double seconds) {
        double rate = 0;
        for (double passed = 0; passed < 100; passed += seconds) {
            rate = rollAfter((int) (20 * seconds), seconds).get(Priority.HIGH);
        }

        assertThat(rate).isCloseTo(20, within(0.01));
    }

    @Test
    void theLastTenSecondsContributeTwoThirds() {
        for (int second = 0; second < 10; second++) {
            rollAfter(100, 1);
        }

        assertThat(rates.closeInterval(1e-9).get(Priority.HIGH)).isCloseTo(63.2, within(0.1));
    }

    @Test
    void anEventCountsOnceAndIsEventuallyForgotten() {
        double first = rollAfter(10, 1).get(Priority.HIGH);
        double second = rates.closeInterval(1).get(Priority.HIGH);

        assertThat(second).isCloseTo(first * Math.exp(-0.1), within(1e-9));
        assertThat(rates.closeInterval(200).get(Priority.HIGH)).isZero();
    }

    @Test
    void prioritiesAreCountedSeparately() {
        rates.count(Priority.LOW, 1);

        assertThat(rates.closeInterval(1).get(Priority.LOW)).isPositive();
        assertThat(rates.closeInterval(1).get(Priority.URGENT)).isZero();
    }

    private Map<Priority, Double> rollAfter(int events, double seconds) {
        for (int i = 0; i < events; i++) {
            rates.count(Priority.HIGH, 1);
        }
        return rates.closeInterval(seconds);
    }
}

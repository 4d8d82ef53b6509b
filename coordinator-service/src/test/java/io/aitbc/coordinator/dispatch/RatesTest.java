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
    void steadyEventsHaveTheirRateAtAnyInterval(double seconds) {
        for (double passed = 0; passed < 100; passed += seconds) {
            assertThat(rollAfter((int) (20 * seconds), seconds).get(Priority.HIGH))
                    .isCloseTo(20, within(0.01));
        }
    }

    @Test
    void theRateIsThatOfTheLastTenSeconds() {
        rollAfter(1_000, 1);
        for (int second = 2; second <= 10; second++) {
            assertThat(rollAfter(10, 1).get(Priority.HIGH))
                    .isCloseTo((1_000.0 + 10 * (second - 1)) / second, within(1e-9));
        }

        assertThat(rollAfter(10, 1).get(Priority.HIGH)).isCloseTo(10, within(1e-9));
    }

    /** A queue that stands still says so ten seconds later. */
    @Test
    void whatHasEndedIsForgotten() {
        rollAfter(1_000, 1);
        for (int second = 0; second < 9; second++) {
            assertThat(rates.closeInterval(1).get(Priority.HIGH)).isPositive();
        }

        assertThat(rates.closeInterval(1).get(Priority.HIGH)).isZero();
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

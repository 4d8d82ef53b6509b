package io.aitbc.coordinator.stats;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RecentCountsTest {
    private static final Instant START = Instant.parse("2026-11-24T09:00:00Z");

    private final RecentCounts recent = new RecentCounts();
    private Instant now = START;

    @Test
    void countsBeforeTheWindowAreForgotten() {
        assertThat(growth(1_000)).isZero();
        after(Duration.ofMinutes(1));
        assertThat(growth(1_010)).isEqualTo(10);
        for (int i = 0; i < 60; i++) {
            after(Duration.ofSeconds(10));
            assertThat(growth(1_010)).isLessThanOrEqualTo(10);
        }

        assertThat(growth(1_010)).isZero();
        after(Duration.ofSeconds(1));
        assertThat(growth(1_012)).isEqualTo(2);
    }

    @Test
    void frequentQueriesDoNotChangeTheWindow() {
        growth(0);
        for (int i = 1; i <= 600; i++) {
            after(Duration.ofSeconds(1));
            assertThat(growth(i)).isBetween(Math.min(i, 300L), Math.min(i, 306L));
        }
    }

    @Test
    void aCounterResetOrAClockSetBackStartsANewWindow() {
        growth(1_000);
        after(Duration.ofSeconds(10));
        assertThat(growth(3)).isZero();
        after(Duration.ofSeconds(10));
        assertThat(growth(5)).isEqualTo(2);
        after(Duration.ofHours(-1));
        assertThat(growth(6)).isZero();
        after(Duration.ofSeconds(10));
        assertThat(growth(8)).isEqualTo(2);
    }

    private void after(Duration time) {
        now = now.plus(time);
    }

    private long growth(long count) {
        return recent.growth(Map.of("tasks", count), now).get("tasks");
    }
}

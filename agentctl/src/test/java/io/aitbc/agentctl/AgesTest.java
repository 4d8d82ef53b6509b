package io.aitbc.agentctl;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AgesTest {
    @ParameterizedTest
    @CsvSource({"PT0.9S, 0s", "PT59.9S, 59s", "PT3M12S, 3m 12s", "PT2H5M59S, 2h 5m", "P4DT3H, 4d 3h", "PT-5S, 0s"})
    void inTwoUnitsAtMost(Duration age, String said) {
        assertThat(Ages.of(age)).isEqualTo(said);
    }

    @Test
    void beforeOrAfterNow() {
        Instant now = Instant.parse("2026-11-24T09:00:00Z");
        assertThat(Ages.between(now.minusSeconds(192), now)).isEqualTo("3m 12s ago");
        assertThat(Ages.between(now.plusSeconds(580), now)).isEqualTo("in 9m 40s");
    }
}

package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TimeSerializerTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "2026-11-01T12:00:00Z",
                "2026-11-01T12:00:59.999Z",
                "2026-11-01T12:00:09.001Z",
                "2026-11-01T12:00:00.000001Z",
                "1969-12-31T23:59:59.999Z",
                "-0001-02-03T04:05:06.789Z",
                "+12345-02-03T04:05:06.789Z"
            })
    void timesAreWrittenAsTheirText(Instant time) {
        assertThat(TimeSerializer.text(time)).isEqualTo(time.toString());
        assertThat(Json.text(time)).isEqualTo("\"" + time + "\"");
    }

    @Test
    void allTimesAreWrittenAsTheirText() {
        Random random = new Random(26);
        for (int i = 0; i < 10_000; i++) {
            Instant time = Instant.ofEpochMilli(random.nextLong(-(1L << 42), 1L << 42));
            assertThat(TimeSerializer.text(time)).isEqualTo(time.toString());
            assertThat(TimeSerializer.text(time.plusMillis(1)))
                    .isEqualTo(time.plusMillis(1).toString());
        }
    }
}

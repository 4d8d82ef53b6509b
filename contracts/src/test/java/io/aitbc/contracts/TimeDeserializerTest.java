package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.ext.javatime.deser.InstantDeserializer;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.module.SimpleModule;

/** Strings with a date and a time are read, or rejected, as by Jackson; everything else is rejected. */
class TimeDeserializerTest {
    private static final JsonMapper JACKSON = Json.MAPPER
            .rebuild()
            .addModule(new SimpleModule().addDeserializer(Instant.class, InstantDeserializer.INSTANT))
            .build();

    @Test
    void anyTimeIsReadAsItWasWritten() {
        Random random = new Random(1);
        for (int i = 0; i < 10_000; i++) {
            Instant time = Instant.ofEpochMilli(random.nextLong(-62_000_000_000_000L, 250_000_000_000_000L));
            assertThat(read(Json.MAPPER, Json.text(time))).isEqualTo(time.toString());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "2026-02-28T23:59:59.999Z",
                "2028-02-29T00:00:00.000Z",
                "0000-01-01T00:00:00.000Z",
                "9999-12-31T23:59:59.999Z",
                "2026-06-30T23:59:60.000Z",
                "2026-06-30T24:00:00.000Z"
            })
    void mutatedTimesAreReadAsByJackson(String time) {
        agrees(time);
        for (int i = 0; i < time.length(); i++) {
            agrees(time.substring(0, i) + time.substring(i + 1));
            for (char other : "01239+-:.,TZtz W٣".toCharArray()) {
                agrees(time.substring(0, i) + other + time.substring(i + 1));
                agrees(time.substring(0, i) + other + time.substring(i));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "null",
                "true",
                "[]",
                "{}",
                "\"2026-01-01T00:00:00Z\"",
                "\"2026-01-01T01:00:00.000+01:00\"",
                "\"2026-01-01T00:00:00.123456789Z\"",
                "\"+1000000000-12-31T23:59:59Z\""
            })
    void otherFormsAreReadAsByJackson(String json) {
        assertThat(read(Json.MAPPER, json)).isEqualTo(read(JACKSON, json));
    }

    /** A number could be seconds or milliseconds; Jackson reads strings of digits as numbers. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "1700000000000",
                "1767225600",
                "1767225600.123",
                "0",
                "-1",
                "1e300",
                "\"1767225600\"",
                "\"1767225600.5\"",
                "\"-1\"",
                "\"\"",
                "\" \"",
                "\"2026-01-01\"",
                "\"soon\""
            })
    void valuesThatAreNotTimesAreRefusedInOneSentence(String json) {
        assertThatThrownBy(() -> Json.read("{\"task_data\":{},\"not_before\":" + json + "}", Task.class))
                .isInstanceOf(Json.MalformedMessageException.class)
                .hasMessage("not_before has the wrong type or form (expected an ISO 8601 time, such as"
                        + " 2026-01-01T00:00:00Z)");
    }

    private static void agrees(String time) {
        String json = Json.text(time);
        assertThat(read(Json.MAPPER, json)).as(json).isEqualTo(read(JACKSON, json));
    }

    private static String read(JsonMapper mapper, String json) {
        try {
            return String.valueOf(mapper.readValue(json, Instant.class));
        } catch (JacksonException e) {
            return "refused";
        }
    }
}

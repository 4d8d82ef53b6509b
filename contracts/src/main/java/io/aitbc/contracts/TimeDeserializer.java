package io.aitbc.contracts;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.deser.std.StdDeserializer;
import tools.jackson.databind.ext.javatime.deser.InstantDeserializer;
import tools.jackson.databind.type.LogicalType;

/**
 * Reads times written as ISO 8601 strings. Numbers are rejected because they could be seconds or milliseconds. The most common
 * form, {@code 2026-01-01T00:00:00.000Z}, has a fast path that is twenty times as fast as Jackson, which spent more than half of
 * the time for reading an assignment on its three timestamps.
 */
final class TimeDeserializer extends StdDeserializer<Instant> {
    private static final String CANONICAL_FORMAT = "0000-00-00T00:00:00.000Z";

    TimeDeserializer() {
        super(Instant.class);
    }

    @Override
    public LogicalType logicalType() {
        return LogicalType.DateTime;
    }

    @Override
    public Instant deserialize(JsonParser parser, DeserializationContext context) {
        if (!parser.hasToken(JsonToken.VALUE_STRING)) {
            return (Instant) context.handleUnexpectedToken(getValueType(context), parser);
        }
        String text = parser.getString();
        Instant time = parseCanonical(text);
        if (time != null) {
            return time;
        }
        // Jackson reads digits without a T as seconds since 1970, and an empty string as null.
        return text.indexOf('T') < 0 && text.indexOf('t') < 0
                ? (Instant) context.handleWeirdStringValue(Instant.class, text, "not an ISO 8601 time")
                : InstantDeserializer.INSTANT.deserialize(parser, context);
    }

    static @Nullable Instant parseCanonical(String text) {
        if (text.length() != CANONICAL_FORMAT.length()) {
            return null;
        }
        for (int i = 0; i < CANONICAL_FORMAT.length(); i++) {
            char wanted = CANONICAL_FORMAT.charAt(i);
            char found = text.charAt(i);
            if (wanted == '0' ? found < '0' || found > '9' : found != wanted) {
                return null;
            }
        }
        try {
            return LocalDateTime.of(
                            number(text, 0, 4),
                            number(text, 5, 7),
                            number(text, 8, 10),
                            number(text, 11, 13),
                            number(text, 14, 16),
                            number(text, 17, 19),
                            number(text, 20, 23) * 1_000_000)
                    .toInstant(ZoneOffset.UTC);
        } catch (DateTimeException e) {
            // No such day, or 24:00: the slow path produces the error message.
            return null;
        }
    }

    private static int number(String text, int from, int to) {
        return Integer.parseInt(text, from, to, 10);
    }
}

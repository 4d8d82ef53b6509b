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
 * Reads times written as ISO 8601 texts, and nothing else: numbers would be guesses between seconds and milliseconds. The form that
 * most have, {@code 2026-01-01T00:00:00.000Z}, is read in a twentieth of the time that Jackson takes, which for the three of an
 * assignment was more than half of what it took to read it.
 */
final class TimeReader extends StdDeserializer<Instant> {
    private static final String FORM = "0000-00-00T00:00:00.000Z";

    TimeReader() {
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
        Instant time = inUsualForm(text);
        if (time != null) {
            return time;
        }
        // Jackson takes digits without a T for seconds since 1970, and an empty text for no time at all.
        return text.indexOf('T') < 0 && text.indexOf('t') < 0
                ? (Instant) context.handleWeirdStringValue(Instant.class, text, "not an ISO 8601 time")
                : InstantDeserializer.INSTANT.deserialize(parser, context);
    }

    private static @Nullable Instant inUsualForm(String text) {
        if (text.length() != FORM.length()) {
            return null;
        }
        for (int i = 0; i < FORM.length(); i++) {
            char wanted = FORM.charAt(i);
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
            // No such day, or 24:00: there is a sentence for it.
            return null;
        }
    }

    private static int number(String text, int from, int to) {
        return Integer.parseInt(text, from, to, 10);
    }
}

package io.aitbc.contracts;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.SerializationContext;
import tools.jackson.databind.ser.std.StdSerializer;

/**
 * Writes times as ISO 8601 strings, as {@link Instant#toString} does. It formats a minute once: the times in a stream of messages are close
 * together, and took half of the time of writing an assignment.
 */
final class TimeSerializer extends StdSerializer<Instant> {
    private static final int SECONDS_PER_MINUTE = 60;
    private static final int NANOS_PER_MS = 1_000_000;
    /** Minutes by their last digits: a deadline is some minutes ahead of the other times. Threads may race, and lose nothing but time. */
    private static final @Nullable Minute[] RECENT = new Minute[64];

    /**
     * A minute, and its text up to the seconds.
     *
     * @param number since 1970
     */
    private record Minute(long number, String text) {
        static Minute of(Instant time) {
            String text = time.truncatedTo(ChronoUnit.MINUTES).toString();
            return new Minute(
                    Math.floorDiv(time.getEpochSecond(), SECONDS_PER_MINUTE),
                    text.substring(0, text.length() - "00Z".length()));
        }
    }

    TimeSerializer() {
        super(Instant.class);
    }

    @Override
    public void serialize(Instant time, JsonGenerator json, SerializationContext context) {
        json.writeString(text(time));
    }

    static String text(Instant time) {
        int nanos = time.getNano();
        if (nanos == 0 || nanos % NANOS_PER_MS != 0) {
            return time.toString();
        }
        long number = Math.floorDiv(time.getEpochSecond(), SECONDS_PER_MINUTE);
        int slot = (int) Math.floorMod(number, (long) RECENT.length);
        Minute minute = RECENT[slot];
        if (minute == null || minute.number != number) {
            minute = Minute.of(time);
            RECENT[slot] = minute;
        }
        int second = (int) Math.floorMod(time.getEpochSecond(), (long) SECONDS_PER_MINUTE);
        int ms = nanos / NANOS_PER_MS;
        return minute.text
                + digit(second / 10)
                + digit(second)
                + '.'
                + digit(ms / 100)
                + digit(ms / 10)
                + digit(ms)
                + 'Z';
    }

    private static char digit(int number) {
        return (char) ('0' + number % 10);
    }
}

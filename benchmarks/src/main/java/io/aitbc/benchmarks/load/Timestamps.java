package io.aitbc.benchmarks.load;

import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.Base64;
import java.util.zip.DataFormatException;
import org.HdrHistogram.Histogram;

/** Times in microseconds since 1970, shared by all processes of a machine, and how they are passed on. */
public final class Timestamps {
    private static final long MAX_US = 3_600_000_000L;
    private static final int DIGITS = 3;
    /** Valid until the year 2286. */
    private static final int TIMESTAMP_DIGITS = 16;

    private Timestamps() {}

    static long now() {
        return of(Instant.now());
    }

    static long of(Instant instant) {
        return ChronoUnit.MICROS.between(Instant.EPOCH, instant);
    }

    /** The id of a task with the time of its scheduled submission. */
    static String taskId(String run, long number, long at) {
        return run + "-" + number + "-" + at;
    }

    /** Whether an id has that time; one made by a coordinator ends in twelve hexadecimal digits. */
    static boolean isStamped(String taskId) {
        return taskId.length() - taskId.lastIndexOf('-') - 1 == TIMESTAMP_DIGITS;
    }

    /** The scheduled submission of a task, by its id. */
    static long submittedAt(String taskId) {
        return Long.parseLong(taskId, taskId.lastIndexOf('-') + 1, taskId.length(), 10);
    }

    public static Histogram histogram() {
        return new Histogram(MAX_US, DIGITS);
    }

    static void record(Histogram histogram, long us) {
        histogram.recordValue(Math.min(MAX_US, Math.max(0, us)));
    }

    static String encode(Histogram histogram) {
        ByteBuffer buffer = ByteBuffer.allocate(histogram.getNeededByteBufferCapacity());
        int length = histogram.encodeIntoCompressedByteBuffer(buffer);
        return Base64.getEncoder().encodeToString(Arrays.copyOf(buffer.array(), length));
    }

    public static Histogram decode(String text) {
        try {
            return Histogram.decodeFromCompressedByteBuffer(
                    ByteBuffer.wrap(Base64.getDecoder().decode(text)), MAX_US);
        } catch (DataFormatException e) {
            throw new IllegalArgumentException(e);
        }
    }
}

package io.aitbc.coordinator.trace;

import io.aitbc.contracts.TaskHeaders;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

/** Reads and writes the trace header of records. */
public final class TraceHeader {
    /** Length of the current version; anything longer is a future version, or invalid. */
    private static final int LENGTH = 55;

    private TraceHeader() {}

    /** The trace of a record; null if absent or invalid. */
    public static @Nullable String of(ConsumerRecord<?, ?> record) {
        Header header = record.headers().lastHeader(TaskHeaders.TRACEPARENT);
        return header == null || header.value() == null
                ? null
                : checked(new String(header.value(), StandardCharsets.US_ASCII));
    }

    /** The given text, or null if it is not a valid trace header. */
    public static @Nullable String checked(@Nullable String text) {
        if (text == null || text.length() != LENGTH) {
            return null;
        }
        for (int i = 0; i < LENGTH; i++) {
            char one = text.charAt(i);
            boolean dash = i == 2 || i == 35 || i == 52;
            if (dash ? one != '-' : (one < '0' || one > '9') && (one < 'a' || one > 'f')) {
                return null;
            }
        }
        return text;
    }

    public static void add(ProducerRecord<?, ?> record, @Nullable String trace) {
        if (trace != null) {
            record.headers().add(TaskHeaders.TRACEPARENT, trace.getBytes(StandardCharsets.US_ASCII));
        }
    }
}

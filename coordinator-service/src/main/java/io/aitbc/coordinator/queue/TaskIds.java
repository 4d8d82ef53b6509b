package io.aitbc.coordinator.queue;

import com.fasterxml.uuid.Generators;
import com.fasterxml.uuid.impl.TimeBasedEpochRandomGenerator;
import io.aitbc.coordinator.match.Position;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/** Generates ids for tasks without one, random or derived from a record. Both are version 7 UUIDs, which sort by time. */
public final class TaskIds {
    private static final TimeBasedEpochRandomGenerator GENERATOR = Generators.timeBasedEpochRandomGenerator();

    private TaskIds() {}

    public static String next() {
        return GENERATOR.generate().toString();
    }

    /** Deterministic for a record, so that the task keeps its id when the record is read again after a crash. */
    static String of(Position position, long timestampMs) {
        UUID hash = UUID.nameUUIDFromBytes(
                (position.priority() + ":" + position.partition() + ":" + position.offset() + ":" + timestampMs)
                        .getBytes(StandardCharsets.UTF_8));
        long high = timestampMs << 16 | 0x7000 | hash.getMostSignificantBits() & 0x0FFF;
        return new UUID(high, hash.getLeastSignificantBits()).toString();
    }
}

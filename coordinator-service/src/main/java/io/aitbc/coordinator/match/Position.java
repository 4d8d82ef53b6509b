package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.Comparator;

/** Where a task stands in Kafka: an offset in a partition of the topic of its priority. */
public record Position(Priority priority, int partition, long offset) implements Comparable<Position> {
    private static final Comparator<Position> ORDER = Comparator.comparing(Position::priority)
            .thenComparing(Position::partition)
            .thenComparing(Position::offset);

    /** The same in every run, as an enum's own is not: collections of positions are to be gone through in one order. */
    @Override
    public int hashCode() {
        return 31 * (31 * Long.hashCode(offset) + partition) + priority.ordinal();
    }

    @Override
    public int compareTo(Position other) {
        return ORDER.compare(this, other);
    }
}

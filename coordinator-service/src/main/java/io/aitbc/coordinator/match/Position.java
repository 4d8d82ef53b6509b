package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.Comparator;

/** Where a task stands in Kafka: an offset in a partition of the topic of its priority. */
public record Position(Priority priority, int partition, long offset) implements Comparable<Position> {
    private static final Comparator<Position> ORDER = Comparator.comparing(Position::priority)
            .thenComparing(Position::partition)
            .thenComparing(Position::offset);

    @Override
    public int compareTo(Position other) {
        return ORDER.compare(this, other);
    }
}

package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.Comparator;
import java.util.Optional;

/** The location of a task in Kafka: an offset in a partition of its priority's topic. */
public record Position(Priority priority, int partition, long offset) implements Comparable<Position> {
    private static final Comparator<Position> ORDER = Comparator.comparing(Position::priority)
            .thenComparing(Position::partition)
            .thenComparing(Position::offset);

    /** Parses the output of {@link #toString}; empty for any other text. */
    public static Optional<Position> parse(String text) {
        String[] parts = text.split(":");
        try {
            return parts.length == 3
                    ? Optional.of(new Position(
                            Priority.parse(parts[0]), Integer.parseInt(parts[1]), Long.parseLong(parts[2])))
                    : Optional.empty();
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** The form stored in Redis: {@code normal:3:1742}. */
    @Override
    public String toString() {
        return priority.wireName() + ":" + partition + ":" + offset;
    }

    /** Stable across runs, unlike an enum's own hash code, so that collections of positions iterate in the same order. */
    @Override
    public int hashCode() {
        return 31 * (31 * Long.hashCode(offset) + partition) + priority.ordinal();
    }

    @Override
    public int compareTo(Position other) {
        return ORDER.compare(this, other);
    }
}

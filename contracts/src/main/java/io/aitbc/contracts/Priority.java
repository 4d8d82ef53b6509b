package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** How urgent a task is, the most urgent first. Each priority has a queue, and a topic, of its own. */
public enum Priority {
    URGENT,
    CRITICAL,
    HIGH,
    NORMAL,
    LOW;

    /** The lower-case name, as it stands in JSON, in topic names and in Redis. */
    @JsonValue
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Reads a priority in any case.
     *
     * @throws IllegalArgumentException {@code Invalid priority: x}
     */
    @JsonCreator
    public static Priority parse(String text) {
        for (Priority priority : values()) {
            if (priority.name().equalsIgnoreCase(text)) {
                return priority;
            }
        }
        throw new InvalidPriorityException(text);
    }

    /** Told apart from other bad input because the published REST interface answers it with 400 instead of 422. */
    public static final class InvalidPriorityException extends IllegalArgumentException {
        InvalidPriorityException(String text) {
            super("Invalid priority: " + text);
        }
    }
}

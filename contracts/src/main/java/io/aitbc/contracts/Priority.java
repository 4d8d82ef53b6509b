package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** Task priority, most urgent first. Each priority has its own queue and topic. */
public enum Priority {
    URGENT,
    CRITICAL,
    HIGH,
    NORMAL,
    LOW;

    private final String wireName = name().toLowerCase(Locale.ROOT);

    /** The lower-case name, as used in JSON, topic names and Redis. */
    @JsonValue
    public String wireName() {
        return wireName;
    }

    /**
     * Parses a priority, ignoring case.
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

    /** A distinct type, because the published REST interface answers it with 400 instead of 422. */
    public static final class InvalidPriorityException extends IllegalArgumentException {
        InvalidPriorityException(String text) {
            super("Invalid priority: " + text);
        }
    }
}

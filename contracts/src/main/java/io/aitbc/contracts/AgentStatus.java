package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Arrays;
import java.util.Locale;

/** What an agent says of itself, or what a coordinator found out about it. */
public enum AgentStatus {
    /** Takes tasks. */
    ACTIVE,
    /** Takes no new task, keeps what it has. */
    BUSY,
    /** Takes no new task, finishes what it has. */
    MAINTENANCE,
    /** Out of service: deregistered, or by its own word until it speaks again. */
    INACTIVE,
    /** Silent for longer than the timeout; set by coordinators. */
    STALE,
    /** Broken by its own word: its tasks are given to others. */
    ERROR;

    @JsonValue
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    public static boolean isKnown(String text) {
        return Arrays.stream(values()).anyMatch(status -> status.name().equalsIgnoreCase(text));
    }

    /** @throws IllegalArgumentException naming the known statuses */
    @JsonCreator
    public static AgentStatus parse(String text) {
        for (AgentStatus status : values()) {
            if (status.name().equalsIgnoreCase(text)) {
                return status;
            }
        }
        throw new IllegalArgumentException(
                "Invalid status: " + text + " (one of active, busy, maintenance, inactive, stale, error)");
    }
}

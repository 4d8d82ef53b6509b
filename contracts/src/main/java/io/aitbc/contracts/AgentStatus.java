package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Arrays;
import java.util.Locale;

/** An agent's status, as reported by the agent or set by a coordinator. */
public enum AgentStatus {
    /** Accepts tasks. */
    ACTIVE,
    /** Accepts no new tasks; keeps the ones it holds. */
    BUSY,
    /** Accepts no new tasks; finishes the ones it holds. */
    MAINTENANCE,
    /** Out of service: deregistered, or self-reported until the agent's next message. */
    INACTIVE,
    /** Silent for longer than the heartbeat timeout; set by coordinators. */
    STALE,
    /** Self-reported failure: its tasks are reassigned to other agents. */
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

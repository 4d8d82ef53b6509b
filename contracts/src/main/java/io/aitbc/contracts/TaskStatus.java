package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** The status of a task, as the REST API reports it. */
public enum TaskStatus {
    /** Waits for an agent, or for the time of its next attempt. */
    QUEUED,
    /** An agent has it. */
    ASSIGNED,
    /** An attempt completed. */
    COMPLETED,
    /** Failed permanently; a copy is in the dead-letter topic, from which it can be redriven. */
    FAILED,
    /** Cancelled by a caller, alone or with its queue. */
    CANCELLED,
    /** Its {@code expires_at} passed before an agent took it. */
    EXPIRED;

    /** The lower-case name, as used in JSON and Redis. */
    @JsonValue
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether the task does not run again, unless it is redriven. */
    public boolean hasEnded() {
        return switch (this) {
            case QUEUED, ASSIGNED -> false;
            case COMPLETED, FAILED, CANCELLED, EXPIRED -> true;
        };
    }
}

package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** What a caller is. {@link AccessRules} has what it may do. */
public enum Role {
    /** May do everything, and alone manages keys. */
    ADMIN,
    /** Runs the cluster: queues, strategy, dead letters, any agent. */
    OPERATOR,
    /** Submits tasks, waits for them and cancels them. */
    SUBMITTER,
    /** One agent, or those whose ids have a common prefix. */
    AGENT,
    /** Reads. */
    VIEWER;

    @JsonValue
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Parses a role. {@code user} is a submitter: the AITBC coordinator's name for it.
     *
     * @throws IllegalArgumentException naming the known roles
     */
    @JsonCreator
    public static Role parse(String text) {
        if (text.equals("user")) {
            return SUBMITTER;
        }
        for (Role role : values()) {
            if (role.wireName().equals(text)) {
                return role;
            }
        }
        throw new IllegalArgumentException(
                "Invalid role: " + text + " (one of admin, operator, submitter, agent, viewer)");
    }
}

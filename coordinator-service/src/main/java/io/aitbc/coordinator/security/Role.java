package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.Map;

/** What a caller is. {@link AccessRules} has what it may do. */
public enum Role {
    ADMIN("May do everything, and alone manages keys and roles"),
    OPERATOR("Runs the cluster: queues, strategy, dead letters, any agent"),
    SUBMITTER("Submits tasks, waits for them and cancels them"),
    AGENT("One agent, or those whose ids have a common prefix"),
    VIEWER("Reads");

    @JsonValue
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    private final String description;

    Role(String description) {
        this.description = description;
    }

    /** What it is for, in one sentence. */
    public String description() {
        return description;
    }

    /** Names of roles in the AITBC coordinator. */
    public static final Map<String, Role> ALIASES =
            Map.of("user", SUBMITTER, "api_user", SUBMITTER, "readonly", VIEWER);

    /**
     * Parses a role, or its name in the AITBC coordinator.
     *
     * @throws IllegalArgumentException naming the known roles
     */
    @JsonCreator
    public static Role parse(String text) {
        if (ALIASES.containsKey(text)) {
            return ALIASES.get(text);
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

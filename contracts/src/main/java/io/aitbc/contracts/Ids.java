package io.aitbc.contracts;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The rules for ids of tasks, agents and agent processes. They are the same over REST and Kafka. */
public final class Ids {
    /** Excludes {@code .} and {@code ..}: they are path segments, so REST could not address such an id. */
    public static final String PATTERN = "(?!\\.{1,2}$)[A-Za-z0-9._-]{1,200}";

    public static final String RULE = "must be 1 to 200 characters of A-Z a-z 0-9 . _ - and neither . nor ..";

    /** Reserved words that follow {@code /tasks/} in REST paths, in the position of a task id. */
    public static final Set<String> RESERVED_IDS = Set.of("status", "queues", "submit", "dead-letter", "bulk");

    /** Reserved in place of an agent id: the topic of its assignments is the shared one. */
    public static final String SHARED_ASSIGNMENTS = "shared";

    /** In characters. */
    public static final int MAX_FAIRNESS_KEY_LENGTH = 64;

    private static final int MAX_LENGTH = 200;

    private Ids() {}

    /** @throws IllegalArgumentException if the value is missing or not a valid id */
    static String check(String field, @Nullable String given) {
        String value = Checks.required(field, given);
        if (value.isEmpty() || value.length() > MAX_LENGTH || !hasOnlyIdCharacters(value) || isDotSegment(value)) {
            throw new IllegalArgumentException(field + " " + RULE + " but was \"" + Checks.shortened(value) + "\"");
        }
        return value;
    }

    /** @throws IllegalArgumentException if the value is missing or not a valid task id */
    static String checkTaskId(String field, @Nullable String given) {
        String value = check(field, given);
        if (RESERVED_IDS.contains(value)) {
            throw new IllegalArgumentException(
                    field + " must not be \"" + value + "\": /tasks/" + value + " is a path of the REST interface");
        }
        return value;
    }

    /** @throws IllegalArgumentException if the value is missing or not a valid agent id */
    static String checkAgentId(String field, @Nullable String given) {
        String value = check(field, given);
        if (value.equals(SHARED_ASSIGNMENTS)) {
            throw new IllegalArgumentException(
                    field + " must not be \"shared\": assignments.shared is the topic of agents" + " without Kafka");
        }
        return value;
    }

    /** @throws IllegalArgumentException unless it has 1 to 64 characters, not only spaces and no control characters */
    public static String checkFairnessKey(String value) {
        if (value.isBlank()
                || value.length() > MAX_FAIRNESS_KEY_LENGTH
                || value.codePoints().anyMatch(Ids::isUnprintable)) {
            throw new IllegalArgumentException("fairness_key must have 1 to " + MAX_FAIRNESS_KEY_LENGTH
                    + " characters, none of them a control character");
        }
        return value;
    }

    /** Whether it is a control character, or half of a pair. */
    static boolean isUnprintable(int c) {
        return Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE;
    }

    /** A plain loop, because several ids are checked per message: a stream took 5 % of the dispatcher thread's time. */
    private static boolean hasOnlyIdCharacters(String value) {
        for (int i = 0; i < value.length(); i++) {
            if (!isIdCharacter(value.charAt(i))) {
                return false;
            }
        }
        return true;
    }

    private static boolean isIdCharacter(int c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-';
    }

    private static boolean isDotSegment(String value) {
        return value.charAt(0) == '.' && (value.length() == 1 || value.length() == 2 && value.charAt(1) == '.');
    }
}

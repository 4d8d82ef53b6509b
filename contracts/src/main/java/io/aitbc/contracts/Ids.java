package io.aitbc.contracts;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What names tasks, agents and their processes, wherever it comes from: the same over REST and Kafka. */
public final class Ids {
    /** {@code .} and {@code ..} are steps in a path, so nothing of such a name could be asked for. */
    public static final String PATTERN = "(?!\\.{1,2}$)[A-Za-z0-9._-]{1,200}";

    public static final String RULE = "must be 1 to 200 characters of A-Z a-z 0-9 . _ - and neither . nor ..";

    /** Words that follow {@code /tasks/} in the REST interface, where the id of a task stands too. */
    public static final Set<String> TAKEN_BY_PATHS = Set.of("status", "queues", "submit", "dead-letter");

    private static final int MAX_LENGTH = 200;

    private Ids() {}

    /** @throws IllegalArgumentException if the value is missing, or names nothing */
    static String check(String field, @Nullable String value) {
        Checks.required(field, value);
        if (value.isEmpty() || value.length() > MAX_LENGTH || !isOfIdCharacters(value) || isStepInPath(value)) {
            throw new IllegalArgumentException(field + " " + RULE + " but was \"" + Checks.shortened(value) + "\"");
        }
        return value;
    }

    /** @throws IllegalArgumentException if the value is missing, or names no task */
    static String checkTask(String field, @Nullable String value) {
        check(field, value);
        if (TAKEN_BY_PATHS.contains(value)) {
            throw new IllegalArgumentException(
                    field + " must not be \"" + value + "\": /tasks/" + value + " is a path of the REST interface");
        }
        return value;
    }

    /** A loop, because several ids are checked for each message: as a stream it took a twentieth of the dispatching thread. */
    private static boolean isOfIdCharacters(String value) {
        for (int i = 0; i < value.length(); i++) {
            if (!mayStandInId(value.charAt(i))) {
                return false;
            }
        }
        return true;
    }

    private static boolean mayStandInId(int c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-';
    }

    private static boolean isStepInPath(String value) {
        return value.charAt(0) == '.' && (value.length() == 1 || value.length() == 2 && value.charAt(1) == '.');
    }
}

package io.aitbc.contracts;

import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Capability matching between agents and tasks. A capability is a string and matches an identical demand. An agent may declare a
 * quantity or version, as {@code gpu:4} or {@code cuda:12.4}; a task may then demand a minimum, as {@code gpu>=2} or {@code
 * cuda>=12}. Nothing is consumed: an agent can run two tasks that demand {@code gpu>=4} at the same time, if its capacity allows.
 */
public final class Capability {
    private static final String AT_LEAST = ">=";
    private static final Pattern VERSION = Pattern.compile("\\d{1,9}(\\.\\d{1,9}){0,7}");

    private Capability() {}

    /** Whether the offered capabilities satisfy one demand. */
    public static boolean meets(List<String> offered, String demand) {
        int operator = demand.indexOf(AT_LEAST);
        if (operator < 0 || offered.contains(demand)) {
            return offered.contains(demand);
        }
        String name = demand.substring(0, operator) + ":";
        String least = demand.substring(operator + AT_LEAST.length());
        return offered.stream().anyMatch(one -> one.startsWith(name) && isAtLeast(one.substring(name.length()), least));
    }

    /** Whether the offered capabilities satisfy all demands. */
    public static boolean meetsAll(List<String> offered, List<String> demands) {
        for (String demand : demands) {
            if (!meets(offered, demand)) {
                return false;
            }
        }
        return true;
    }

    /** @throws IllegalArgumentException if the demand is not valid in a task or an agent query */
    public static void checkDemand(@Nullable String demand) {
        if (demand == null || demand.isBlank()) {
            throw new IllegalArgumentException("capabilities must not contain a blank entry");
        }
        int operator = demand.indexOf(AT_LEAST);
        if (operator == 0
                || operator > 0
                        && !VERSION.matcher(demand.substring(operator + AT_LEAST.length()))
                                .matches()) {
            throw new IllegalArgumentException("\"" + demand
                    + "\" in capabilities must be a name, >= and a number or version, such as cuda>=12.4");
        }
    }

    /** Compares versions component by component; missing components count as 0. 12 is at least 12.0, and 12.10 at least 12.9. */
    private static boolean isAtLeast(String version, String least) {
        if (!VERSION.matcher(version).matches()) {
            return false;
        }
        String[] has = version.split("\\.");
        String[] wants = least.split("\\.");
        for (int i = 0; i < Math.max(has.length, wants.length); i++) {
            int byNumber = Integer.compare(number(has, i), number(wants, i));
            if (byNumber != 0) {
                return byNumber > 0;
            }
        }
        return true;
    }

    private static int number(String[] version, int place) {
        return place < version.length ? Integer.parseInt(version[place]) : 0;
    }
}

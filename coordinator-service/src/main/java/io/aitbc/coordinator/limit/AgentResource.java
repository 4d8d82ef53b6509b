package io.aitbc.coordinator.limit;

import io.aitbc.contracts.Resources;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A resource of an agent. What attempts take of it is counted like units of a limit whose concurrency is what the agent has, in thousandths. The name
 * of that limit, such as {@code @gpu-7/memory_gb}, begins with a character that the names of other limits do not have.
 */
public record AgentResource(String agentId, String resource) {
    private static final String MARK = "@";
    /** Not in ids of agents. */
    private static final char SEPARATOR = '/';

    /** Whether a name of a limit is one of a resource. */
    public static boolean isName(String limit) {
        return limit.startsWith(MARK);
    }

    /** @param limit its name as a limit */
    public static AgentResource named(String limit) {
        int separator = limit.indexOf(SEPARATOR);
        return new AgentResource(limit.substring(MARK.length(), separator), limit.substring(separator + 1));
    }

    /** Its name as a limit. */
    public String limit() {
        return MARK + agentId + SEPARATOR + resource;
    }

    /** Units of limits with what an attempt takes of its agent. */
    public static Map<String, Long> added(Map<String, Long> uses, Resources taken, String agentId) {
        if (taken.isEmpty() || agentId.isEmpty()) {
            return uses;
        }
        Map<String, Long> all = new LinkedHashMap<>(uses);
        taken.thousandths().forEach((name, amount) -> all.put(new AgentResource(agentId, name).limit(), amount));
        return all;
    }

    /** The units among them that are not of resources. */
    public static Map<String, Long> removed(Map<String, Long> uses) {
        if (uses.keySet().stream().noneMatch(AgentResource::isName)) {
            return uses;
        }
        Map<String, Long> others = new LinkedHashMap<>(uses);
        others.keySet().removeIf(AgentResource::isName);
        return others;
    }
}

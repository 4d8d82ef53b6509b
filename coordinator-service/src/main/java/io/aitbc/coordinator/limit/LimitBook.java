package io.aitbc.coordinator.limit;

import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The definitions of limits at one time. A limit whose name ends in {@code *} is a family: each name that begins alike has a limit of its own. The
 * most specific definition counts. Example: with {@code tenant/*} and {@code tenant/acme}, the latter alone limits {@code tenant/acme}.
 */
public final class LimitBook {
    /** Without definitions. */
    public static final LimitBook EMPTY = new LimitBook("", Map.of());

    /** Besides letters and digits. */
    private static final String OTHERS = "._/:-";
    /** Characters that complete the name of a family: the longest fairness key has fewer. */
    private static final int MAX_COMPLETION = 800;

    /** Definitions that have not been read: nothing can be assigned by them. */
    public static final LimitBook UNREAD = new LimitBook("unread", Map.of());

    private final String version;
    private final TreeMap<String, Limit> definitions;
    /** Those that apply to tasks that do not name them. */
    private final Map<String, Limit> applied = new LinkedHashMap<>();

    private final boolean readsTaskType;

    /**
     * @param version equal for the same definitions, see {@code reserve.lua}; empty if there never were any
     * @param definitions by name
     */
    public LimitBook(String version, Map<String, Limit> definitions) {
        this.version = version;
        this.definitions = new TreeMap<>(definitions);
        this.definitions.forEach((name, limit) -> {
            if (limit.appliesTo() != null) {
                applied.put(name, limit);
            }
        });
        this.readsTaskType = applied.values().stream()
                .anyMatch(limit -> Objects.requireNonNull(limit.appliesTo()).taskType() != null);
    }

    public String version() {
        return version;
    }

    /** By name, in alphabetical order. */
    public Map<String, Limit> definitions() {
        return Collections.unmodifiableMap(definitions);
    }

    /** Whether the type of a task determines which limits apply to it. */
    public boolean readsTaskType() {
        return readsTaskType;
    }

    /** Whether the same limits apply to the same tasks, apart from those that tasks name. */
    public boolean appliesAs(LimitBook other) {
        return conditions().equals(other.conditions());
    }

    private Map<String, Limit.AppliesTo> conditions() {
        Map<String, Limit.AppliesTo> conditions = new LinkedHashMap<>();
        applied.forEach((name, limit) -> conditions.put(name, Objects.requireNonNull(limit.appliesTo())));
        return conditions;
    }

    /** The name of the definition that counts for a limit; null if there is none. */
    public @Nullable String definitionName(String name) {
        if (definitions.containsKey(name)) {
            return name;
        }
        if (definitions.isEmpty()) {
            return null;
        }
        for (int length = name.length(); length > 0; length--) {
            String family = name.substring(0, length) + Limit.ANY;
            if (definitions.containsKey(family)) {
                return family;
            }
        }
        return null;
    }

    /** The definition that counts for a limit; null if there is none. */
    public @Nullable Limit definition(String name) {
        String found = definitionName(name);
        return found == null ? null : definitions.get(found);
    }

    /** The names of the limits that a task uses: those that it names, and those that apply to it; in alphabetical order. */
    public List<String> names(
            Iterable<String> named, Requirements requirements, @Nullable String taskType, String fairnessKey) {
        if (applied.isEmpty() && !named.iterator().hasNext()) {
            return List.of();
        }
        TreeSet<String> names = new TreeSet<>();
        named.forEach(names::add);
        applied.forEach((name, limit) -> {
            String completed =
                    completed(name, Objects.requireNonNull(limit.appliesTo()), requirements, taskType, fairnessKey);
            if (completed != null) {
                names.add(completed);
            }
        });
        return List.copyOf(names);
    }

    /** The units of limits that an attempt of a task uses: those that it names, and one of each that applies to it. */
    public Map<String, Long> uses(Task task) {
        if (applied.isEmpty()) {
            return task.uses();
        }
        Map<String, Long> uses = new LinkedHashMap<>(task.uses());
        for (String name : names(
                List.of(), task.requirements(), task.taskType(), Objects.requireNonNullElse(task.fairnessKey(), ""))) {
            uses.putIfAbsent(name, 1L);
        }
        return uses;
    }

    /** A limit that a task names though it is another fairness key's: it applies to tasks by their keys, and not to this one's. Null if there is none. */
    public @Nullable String ofAnotherKey(Task task) {
        String key = Objects.requireNonNullElse(task.fairnessKey(), "");
        for (Map.Entry<String, Limit> one : applied.entrySet()) {
            String ofKey = Objects.requireNonNull(one.getValue().appliesTo()).fairnessKey();
            boolean isFamily = Limit.isFamily(one.getKey());
            String prefix = isFamily ? one.getKey().substring(0, one.getKey().length() - 1) : one.getKey();
            for (String name : ofKey == null ? Set.<String>of() : task.uses().keySet()) {
                boolean isMeant = isFamily ? name.startsWith(prefix) : name.equals(prefix);
                boolean isOwn = Limit.ANY.equals(ofKey) ? name.equals(prefix + encoded(key)) : key.equals(ofKey);
                if (isMeant && !isOwn) {
                    return name;
                }
            }
        }
        return null;
    }

    /** One sentence that says why a task can never start; null if it can. */
    public @Nullable String impossible(Task task) {
        if (definitions.isEmpty()) {
            return null;
        }
        for (Map.Entry<String, Long> use : uses(task).entrySet()) {
            Limit limit = definition(use.getKey());
            String most = limit == null ? null : exceeded(limit, use.getValue());
            if (most != null) {
                return "the task uses " + use.getValue() + " units of the limit " + use.getKey() + ", " + most;
            }
        }
        return null;
    }

    /** What a limit gives at most, if that is less; a concurrency of 0 may be raised at any time. */
    private static @Nullable String exceeded(Limit limit, long units) {
        if (limit.concurrency() != null && limit.concurrency() > 0 && units > limit.concurrency()) {
            return "whose concurrency is " + limit.concurrency();
        }
        if (limit.rate() != null && units > limit.rate().burst()) {
            return "whose rate has a burst of " + limit.rate().burst();
        }
        if (limit.budget() != null && units > limit.budget().units()) {
            return "whose budget is " + limit.budget().units() + " per "
                    + limit.budget().per().wireName();
        }
        return null;
    }

    /** The name of the limit that applies to a task; null if none of this definition does. */
    private static @Nullable String completed(
            String name,
            Limit.AppliesTo conditions,
            Requirements requirements,
            @Nullable String taskType,
            String fairnessKey) {
        String value = null;
        String capability = conditions.capability();
        if (capability != null && requirements.capabilities().stream().noneMatch(demand -> isOf(capability, demand))) {
            return null;
        }
        String[][] pairs = {
            {conditions.agentType(), requirements.agentType()},
            {conditions.taskType(), taskType},
            {conditions.fairnessKey(), fairnessKey.isEmpty() ? null : fairnessKey}
        };
        for (String[] pair : pairs) {
            if (Limit.ANY.equals(pair[0]) && pair[1] != null && !pair[1].isEmpty()) {
                value = pair[1];
            } else if (pair[0] != null && !pair[0].equals(pair[1])) {
                return null;
            }
        }
        return value == null ? name : name.substring(0, name.length() - 1) + encoded(value);
    }

    private static boolean isOf(String capability, String demand) {
        return demand.equals(capability) || demand.startsWith(capability + ">=");
    }

    /** With other characters than those of names in percent encoding. Of a long value, the end is replaced by a hash. */
    static String encoded(String value) {
        StringBuilder name = new StringBuilder(value.length());
        for (byte one : value.getBytes(StandardCharsets.UTF_8)) {
            char character = (char) (one & 0xff);
            if (character < 0x80 && (Character.isLetterOrDigit(character) || OTHERS.indexOf(character) >= 0)) {
                name.append(character);
            } else {
                name.append('%').append(String.format("%02X", (int) character));
            }
        }
        return name.length() <= MAX_COMPLETION
                ? name.toString()
                : name.substring(0, MAX_COMPLETION) + "%"
                        + UUID.nameUUIDFromBytes(value.getBytes(StandardCharsets.UTF_8));
    }
}

package io.aitbc.coordinator.stats;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Limit;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.match.WaitingLimit;
import io.aitbc.coordinator.usage.LimitUsage;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** What was used of limits in the last quarter of an hour, as this coordinator has seen it: of the {@value #MAX_LIMITS} most important ones. Thread-safe. */
@Component
public final class LimitSamples {
    private static final int MAX_LIMITS = 100;
    /** Of each limit: 15 minutes, one every 5 s. */
    private static final int MAX_SAMPLES = 180;

    private final ClusterControl control;
    private final ClusterStats stats;
    private final LimitUsage usage;
    private final Map<String, Deque<Sample>> samples = new HashMap<>();

    LimitSamples(ClusterControl control, ClusterStats stats, LimitUsage usage) {
        this.control = control;
        this.stats = stats;
        this.usage = usage;
    }

    /**
     * @param inUse units that live attempts held
     * @param spent units of its budget, in the period; 0 if it has none
     * @param waiting tasks that it kept back
     */
    public record Sample(
            @JsonProperty("at") Instant at,
            @JsonProperty("in_use") long inUse,
            @JsonProperty("spent") long spent,
            @JsonProperty("waiting") int waiting) {}

    /** What is known of a limit now. */
    public record Use(
            Limit limit, LimitState state, @Nullable WaitingLimit waiting) {}

    /** The samples of a limit, the oldest first. */
    public synchronized List<Sample> of(String name) {
        return List.copyOf(samples.getOrDefault(name, new ArrayDeque<>()));
    }

    /** Takes a sample of each limit, and returns what they are about, by name. Call every five seconds. */
    public Map<String, Use> take(Instant now) {
        LimitBook book = control.limits();
        if (book.definitions().isEmpty()) {
            keep(Map.of(), now);
            return Map.of();
        }
        Map<String, WaitingLimit> waiting = stats.waitingLimits();
        Set<String> names = names(book, usage.known(MAX_LIMITS), waiting);
        Map<String, LimitState> states = control.limitStates(names, now);
        Map<String, Use> uses = new LinkedHashMap<>();
        for (String name : names) {
            Limit limit = book.definition(name);
            if (limit != null) {
                uses.put(name, new Use(limit, Objects.requireNonNull(states.get(name)), waiting.get(name)));
            }
        }
        keep(uses, now);
        return uses;
    }

    private synchronized void keep(Map<String, Use> uses, Instant now) {
        samples.keySet().retainAll(uses.keySet());
        uses.forEach((name, use) -> {
            Deque<Sample> ofLimit = samples.computeIfAbsent(name, unknown -> new ArrayDeque<>());
            ofLimit.add(new Sample(
                    now,
                    use.state.used(),
                    use.limit.budget() == null ? 0 : use.state.spent(use.limit.budget(), now),
                    use.waiting == null ? 0 : use.waiting.tasks()));
            if (ofLimit.size() > MAX_SAMPLES) {
                ofLimit.remove();
            }
        });
    }

    /** Those that keep most tasks back first. */
    private static Set<String> names(LimitBook book, Set<String> known, Map<String, WaitingLimit> waiting) {
        Set<String> names = new LinkedHashSet<>();
        waiting.values().stream()
                .sorted(Comparator.comparingInt(WaitingLimit::tasks).reversed().thenComparing(WaitingLimit::name))
                .forEach(one -> names.add(one.name()));
        book.definitions().keySet().stream()
                .filter(name -> !Limit.isFamily(name))
                .forEach(names::add);
        names.addAll(known);
        return names.stream().limit(MAX_LIMITS).collect(Collectors.toCollection(LinkedHashSet::new));
    }
}

package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.match.KeptAgent;
import io.aitbc.coordinator.match.LaneTime;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Want;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The wants of other coordinators' lanes, how far these have come, what limits keep back and which agents are kept free there, each valid for a second. */
final class RemoteDemand {
    private static final Duration TTL = Duration.ofSeconds(1);

    private final Map<String, Wants> byCoordinator = new HashMap<>();
    /** Whether wants have changed or expired since the matcher was last updated. */
    private boolean changed;

    private record Wants(
            List<Want> wants, List<LaneTime> times, Map<String, Integer> limits, List<KeptAgent> kept, Instant at) {}

    /** Replaces the wants of a coordinator. */
    void update(
            String coordinatorId,
            List<Want> wants,
            List<LaneTime> times,
            Map<String, Integer> limits,
            List<KeptAgent> kept,
            Instant at) {
        byCoordinator.put(coordinatorId, new Wants(wants, times, limits, kept, at));
        changed = true;
    }

    void reset() {
        byCoordinator.clear();
        changed = true;
    }

    /** The priority of the most urgent want; null if there is none. */
    @Nullable
    Priority mostUrgent(Instant now) {
        expire(now);
        return byCoordinator.values().stream()
                .flatMap(one -> one.wants.stream())
                .min(Comparator.comparingInt(Want::level))
                .map(want -> Priority.values()[want.level()])
                .orElse(null);
    }

    void applyTo(Matcher matcher, Instant now) {
        expire(now);
        if (changed) {
            changed = false;
            Map<String, List<Want>> wants = new HashMap<>();
            Map<String, List<LaneTime>> times = new HashMap<>();
            Map<String, Integer> limits = new HashMap<>();
            List<KeptAgent> kept = new ArrayList<>();
            byCoordinator.forEach((coordinatorId, one) -> {
                wants.put(coordinatorId, one.wants);
                times.put(coordinatorId, one.times);
                kept.addAll(one.kept);
                one.limits.forEach((name, level) -> limits.merge(name, level, Math::min));
            });
            matcher.setRemoteWants(wants);
            matcher.setLaneTimes(times, now);
            matcher.limits().setRemote(limits);
            matcher.setKeptElsewhere(kept, now);
        }
    }

    private void expire(Instant now) {
        changed |= byCoordinator.values().removeIf(one -> one.at.plus(TTL).isBefore(now));
    }
}

package io.aitbc.coordinator.match;

import static io.aitbc.coordinator.agent.AnAgent.NOW;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Task;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A waiting task for tests: priority normal, just accepted, without requirements by default. */
public final class ATask {
    private final String id;
    private Priority priority = Priority.NORMAL;
    private int partition;
    private long offset;
    private Instant since = NOW;
    private Requirements requirements = Requirements.NONE;
    private @Nullable Instant notBefore;
    private @Nullable String rejectedBy;
    private @Nullable Instant expiresAt;
    private @Nullable String fairnessKey;
    private @Nullable Double fairnessWeight;
    private Map<String, Long> uses = Map.of();

    private ATask(String id) {
        this.id = id;
    }

    public static ATask named(String id) {
        return new ATask(id);
    }

    public ATask priority(Priority priority) {
        this.priority = priority;
        return this;
    }

    public ATask at(int partition, long offset) {
        this.partition = partition;
        this.offset = offset;
        return this;
    }

    public ATask since(Instant since) {
        this.since = since;
        return this;
    }

    public ATask waiting(long seconds) {
        return since(NOW.minusSeconds(seconds));
    }

    public ATask requires(Requirements requirements) {
        this.requirements = requirements;
        return this;
    }

    public ATask requires(String... capabilities) {
        return requires(Requirements.capabilities(capabilities));
    }

    /** @param amounts such as {@code gpu 0.5} */
    public ATask takes(String... amounts) {
        return requires(new Requirements(
                null,
                requirements.capabilities(),
                List.of(),
                List.of(),
                null,
                null,
                null,
                null,
                null,
                null,
                resources(amounts),
                Map.of()));
    }

    /** @param amounts such as {@code gpu 0.5} */
    public static Resources resources(String... amounts) {
        Map<String, BigDecimal> byName = new LinkedHashMap<>();
        for (String one : amounts) {
            String[] parts = one.split(" ");
            byName.put(parts[0], new BigDecimal(parts[1]));
        }
        return Resources.of(byName);
    }

    public ATask inRegion(String region) {
        return requires(new Requirements(
                null, List.of(), List.of(), List.of(), null, region, null, null, null, null, Resources.NONE, Map.of()));
    }

    public ATask notBefore(@Nullable Instant at) {
        this.notBefore = at;
        return this;
    }

    public ATask expiresAt(@Nullable Instant at) {
        this.expiresAt = at;
        return this;
    }

    public ATask key(String fairnessKey) {
        this.fairnessKey = fairnessKey;
        return this;
    }

    public ATask weight(double fairnessWeight) {
        this.fairnessWeight = fairnessWeight;
        return this;
    }

    public ATask uses(String limit, long units) {
        this.uses = new HashMap<>(uses);
        uses.put(limit, units);
        return this;
    }

    public ATask rejectedBy(String agentId) {
        this.rejectedBy = agentId;
        return this;
    }

    public WaitingTask build() {
        Task task = new Task(
                id,
                Payload.of(Json.object()),
                null,
                requirements,
                null,
                null,
                notBefore,
                expiresAt,
                since,
                null,
                rejectedBy,
                null,
                fairnessKey,
                fairnessWeight,
                Map.of(),
                uses,
                Map.of());
        return new WaitingTask(task, new Position(priority, partition, offset), since, 100);
    }
}

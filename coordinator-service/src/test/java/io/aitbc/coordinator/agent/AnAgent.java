package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.match.ATask;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An agent for tests: active, idle and fully healthy by default. */
public final class AnAgent {
    public static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");

    private final String id;
    private String type = "worker";
    private List<String> capabilities = List.of();
    private List<String> services = List.of();
    private List<String> tags = List.of();
    private int capacity = 100;
    private double weight = 1;
    private @Nullable String region;
    private @Nullable Location location;
    private @Nullable String chain;
    private AgentStatus status = AgentStatus.ACTIVE;
    private Instant lastHeartbeat = NOW;
    private Map<String, Double> load = Map.of();
    private TrackRecord track = TrackRecord.NONE;
    private int inflight;
    private Delivery delivery = Delivery.KAFKA;
    private int openSlots;
    private Resources resources = Resources.NONE;
    private Map<String, Long> inUse = Map.of();
    private @Nullable String unreached;

    private AnAgent(String id) {
        this.id = id;
    }

    public static AnAgent named(String id) {
        return new AnAgent(id);
    }

    public AnAgent type(String type) {
        this.type = type;
        return this;
    }

    public AnAgent capabilities(String... capabilities) {
        this.capabilities = List.of(capabilities);
        return this;
    }

    public AnAgent services(String... services) {
        this.services = List.of(services);
        return this;
    }

    public AnAgent tags(String... tags) {
        this.tags = List.of(tags);
        return this;
    }

    public AnAgent capacity(int capacity) {
        this.capacity = capacity;
        return this;
    }

    public AnAgent weight(double weight) {
        this.weight = weight;
        return this;
    }

    public AnAgent region(@Nullable String region) {
        this.region = region;
        return this;
    }

    public AnAgent location(double lat, double lon) {
        this.location = new Location(lat, lon);
        return this;
    }

    public AnAgent chain(@Nullable String chain) {
        this.chain = chain;
        return this;
    }

    public AnAgent status(AgentStatus status) {
        this.status = status;
        return this;
    }

    public AnAgent lastHeartbeat(Instant at) {
        this.lastHeartbeat = at;
        return this;
    }

    public AnAgent silentFor(long seconds) {
        return lastHeartbeat(NOW.minusSeconds(seconds));
    }

    public AnAgent load(Map<String, Double> metrics) {
        this.load = metrics;
        return this;
    }

    public AnAgent load(double cpu, double memory) {
        return load(Map.of("cpu_usage", cpu, "memory_usage", memory));
    }

    public AnAgent failures(double share, long secondsAgo) {
        this.track = new TrackRecord(share, 0, NOW.minusSeconds(secondsAgo));
        return this;
    }

    public AnAgent responds(double seconds, long secondsAgo) {
        this.track = new TrackRecord(0, seconds * 1_000, NOW.minusSeconds(secondsAgo));
        return this;
    }

    /** @param amount such as {@code gpu 4} */
    public AnAgent has(String... amounts) {
        this.resources = ATask.resources(amounts);
        return this;
    }

    public AnAgent resources(Resources resources, Map<String, Long> inUse) {
        this.resources = resources;
        this.inUse = inUse;
        return this;
    }

    /** Of which assignments take amounts, such as {@code gpu 1.5}. */
    public AnAgent uses(String... amounts) {
        this.inUse = ATask.resources(amounts).thousandths();
        return this;
    }

    public AnAgent holds(int inflight) {
        this.inflight = inflight;
        return this;
    }

    /** An agent whose open claims request a number of assignments. */
    public AnAgent pulls(int openSlots) {
        this.delivery = Delivery.PULL;
        this.openSlots = openSlots;
        return this;
    }

    /** An agent to which a coordinator pushes, and for which it claims a number of assignments. */
    public AnAgent isPushed(int openSlots) {
        this.delivery = Delivery.PUSH;
        this.openSlots = openSlots;
        return this;
    }

    /** An agent that registered over REST and does not read its topic. */
    public AnAgent unreached() {
        this.unreached = Agent.UNREACHED_OVER_KAFKA;
        return this;
    }

    public Registration registration() {
        return new Registration(
                id,
                type,
                capabilities,
                services,
                delivery == Delivery.PUSH ? Json.object().put("http", "http://agent:8000") : Json.object(),
                Json.object(),
                tags,
                "1.0.0",
                capacity,
                weight,
                region,
                location,
                chain,
                null,
                resources,
                delivery);
    }

    public Agent build() {
        return new Agent(
                registration(),
                status,
                NOW,
                lastHeartbeat,
                load,
                track,
                Sender.UNKNOWN,
                inflight,
                unreached,
                openSlots,
                inUse);
    }
}

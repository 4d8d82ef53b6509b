package io.aitbc.coordinator.registry;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Sender;
import io.aitbc.coordinator.agent.TrackRecord;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.node.ObjectNode;

/** Format of an agent's hash in Redis: text fields, with arrays and objects as JSON. */
final class AgentHash {
    private static final TypeReference<List<String>> TEXTS = new TypeReference<>() {};
    private static final TypeReference<Map<String, Double>> METRICS = new TypeReference<>() {};

    private static final Set<String> REGISTRATION = Set.of(
            "agent_id",
            "agent_type",
            "capabilities",
            "services",
            "endpoints",
            "metadata",
            "tags",
            "version",
            "capacity",
            "weight",
            "region",
            "location",
            "chain_id",
            "island_id",
            "resources",
            "delivery");

    /** The number of registration fields, which {@code heartbeat.lua} needs to parse its arguments. */
    static final int REGISTRATION_FIELDS = REGISTRATION.size();

    /** Parsers of the fields written by coordinators, by field. */
    private static final Map<String, Consumer<String>> STATE = Map.of(
            "status", AgentStatus::parse,
            "registration_time", Instant::parse,
            "last_heartbeat", Instant::parse,
            "load_metrics", AgentHash::metrics,
            "failure_share", AgentHash::share,
            "response_ms", AgentHash::responseMs,
            "results_at", Long::parseLong,
            "open_slots", Integer::parseInt,
            "clock_ahead_ms", Long::parseLong,
            "rival_seen_at", Instant::parse);

    private AgentHash() {}

    /** Alternating names and values of the registration fields; an absent field is empty. */
    static List<String> fields(Registration agent) {
        List<String> fields = new ArrayList<>(2 * REGISTRATION_FIELDS);
        put(fields, "agent_id", agent.agentId());
        put(fields, "agent_type", agent.agentType());
        put(fields, "capabilities", Json.text(agent.capabilities()));
        put(fields, "services", Json.text(agent.services()));
        put(fields, "endpoints", Json.text(agent.endpoints()));
        put(fields, "metadata", Json.text(agent.metadata()));
        put(fields, "tags", Json.text(agent.tags()));
        put(fields, "version", agent.version());
        put(fields, "capacity", agent.capacity().toString());
        put(fields, "weight", agent.weight().toString());
        put(fields, "region", agent.region() == null ? "" : agent.region());
        put(fields, "location", agent.location() == null ? "" : Json.text(agent.location()));
        put(fields, "chain_id", agent.chainId() == null ? "" : agent.chainId());
        put(fields, "island_id", agent.islandId() == null ? "" : agent.islandId());
        put(fields, "resources", agent.resources().isEmpty() ? "" : Json.text(agent.resources()));
        put(fields, "delivery", agent.delivery().wireName());
        return fields;
    }

    @SuppressWarnings("NullAway") // Registration rejects missing fields, or replaces them by defaults.
    static Agent read(Map<String, String> hash, int inflight, Map<String, Long> resourcesInUse) {
        Registration registration = new Registration(
                hash.get("agent_id"),
                hash.get("agent_type"),
                Json.MAPPER.readValue(hash.getOrDefault("capabilities", "[]"), TEXTS),
                Json.MAPPER.readValue(hash.getOrDefault("services", "[]"), TEXTS),
                Json.MAPPER.readValue(hash.getOrDefault("endpoints", "{}"), ObjectNode.class),
                Json.MAPPER.readValue(hash.getOrDefault("metadata", "{}"), ObjectNode.class),
                Json.MAPPER.readValue(hash.getOrDefault("tags", "[]"), TEXTS),
                hash.get("version"),
                hash.containsKey("capacity") ? Integer.valueOf(hash.get("capacity")) : null,
                hash.containsKey("weight") ? Double.valueOf(hash.get("weight")) : null,
                textOrNull(hash, "region"),
                textOrNull(hash, "location") == null ? null : Json.read(hash.get("location"), Location.class),
                textOrNull(hash, "chain_id"),
                textOrNull(hash, "island_id"),
                resources(hash),
                Delivery.parse(hash.getOrDefault("delivery", Delivery.KAFKA.wireName())));
        return new Agent(
                registration,
                AgentStatus.parse(hash.getOrDefault("status", "active")),
                time(hash, "registration_time"),
                time(hash, "last_heartbeat"),
                metrics(hash.getOrDefault("load_metrics", "{}")),
                new TrackRecord(
                        share(hash.getOrDefault("failure_share", "0")),
                        responseMs(hash.getOrDefault("response_ms", "0")),
                        Instant.ofEpochMilli(Long.parseLong(hash.getOrDefault("results_at", "0")))),
                sender(hash),
                inflight,
                unreached(hash),
                Integer.parseInt(hash.getOrDefault("open_slots", "0")),
                resourcesInUse);
    }

    static Resources resources(Map<String, String> hash) {
        String declared = textOrNull(hash, "resources");
        return declared == null ? Resources.NONE : Json.read(declared, Resources.class);
    }

    /** The unreadable fields among those written by coordinators, with their values. */
    static Map<String, String> corruptState(Map<String, String> hash) {
        Map<String, String> corrupt = new HashMap<>();
        STATE.forEach((field, form) -> {
            String value = hash.get(field);
            if (value != null && !parses(form, value)) {
                corrupt.put(field, value);
            }
        });
        return corrupt;
    }

    private static boolean parses(Consumer<String> form, String value) {
        try {
            form.accept(value);
            return true;
        } catch (RuntimeException e) {
            return false;
        }
    }

    static boolean isReadable(String agentId, Map<String, String> hash) {
        return agentId.equals(hash.get("agent_id")) && parses(id -> read(hash, 0, Map.of()), agentId);
    }

    /** The registration fields of a hash; the whole hash if it has none. */
    static Map<String, String> registration(Map<String, String> hash) {
        Map<String, String> rest = new HashMap<>(hash);
        rest.keySet().retainAll(REGISTRATION);
        return rest.isEmpty() ? hash : rest;
    }

    static Map<String, Double> metrics(String json) {
        return Json.MAPPER.readValue(json, METRICS);
    }

    /** Parses a response time. An earlier version let it overflow to {@code inf}, which counts as unknown. */
    private static double responseMs(String text) {
        return text.equals("inf") ? 0 : finite(text);
    }

    private static double finite(String text) {
        double number = Double.parseDouble(text);
        if (!Double.isFinite(number) || number < 0) {
            throw new NumberFormatException(text);
        }
        return number;
    }

    private static @Nullable String unreached(Map<String, String> hash) {
        String reason = hash.get("unreached");
        return reason == null || Delivery.PUSH.wireName().equals(hash.get("delivery"))
                ? reason
                : Agent.UNREACHED_OVER_KAFKA;
    }

    /** From 0 to 1. A higher one would keep an agent unhealthy for hours. */
    private static double share(String text) {
        double share = finite(text);
        if (share > 1) {
            throw new NumberFormatException(text);
        }
        return share;
    }

    private static Sender sender(Map<String, String> hash) {
        String aheadMs = textOrNull(hash, "clock_ahead_ms");
        String instanceId = hash.get("instance_id");
        return aheadMs == null && instanceId == null
                ? Sender.UNKNOWN
                : new Sender(
                        aheadMs == null ? null : Duration.ofMillis(Long.parseLong(aheadMs)),
                        instanceId,
                        hash.get("rival_instance"),
                        hash.containsKey("rival_seen_at") ? time(hash, "rival_seen_at") : null);
    }

    private static void put(List<String> fields, String name, String value) {
        fields.add(name);
        fields.add(value);
    }

    private static @Nullable String textOrNull(Map<String, String> hash, String field) {
        String value = hash.get(field);
        return value == null || value.isEmpty() ? null : value;
    }

    private static Instant time(Map<String, String> hash, String field) {
        return hash.containsKey(field) ? Instant.parse(hash.get(field)) : Instant.EPOCH;
    }
}

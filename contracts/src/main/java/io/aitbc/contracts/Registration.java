package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * An agent's self-description: the body of {@code POST /agents/register}, and part of a heartbeat.
 *
 * @param agentType open vocabulary; the documented values are worker, provider, consumer and general
 * @param capacity maximum number of unsettled assignments, 1 to 100,000; 100 when absent
 * @param weight share under WEIGHTED_ROUND_ROBIN, above 0 to 1,000; 1.0 when absent
 * @param chainId the chain the agent works on; it receives no tasks that require another chain
 * @param islandId stored and filterable; not interpreted by the coordinator
 * @param endpoints stored, and not interpreted but for {@code http}: the base URL of an agent with {@link Delivery#PUSH}
 * @param resources what it has for the tasks it works on at the same time, such as {@code gpu: 4}
 * @param delivery how it receives its assignments; {@link Delivery#KAFKA} when absent
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Registration(
        @JsonProperty("agent_id") String agentId,
        @JsonProperty("agent_type") String agentType,
        @JsonProperty("capabilities") List<String> capabilities,
        @JsonProperty("services") List<String> services,
        @JsonProperty("endpoints") ObjectNode endpoints,
        @JsonProperty("metadata") ObjectNode metadata,
        @JsonProperty("tags") List<String> tags,
        @JsonProperty("version") String version,
        @JsonProperty("capacity") Integer capacity,
        @JsonProperty("weight") Double weight,
        @JsonProperty("region") @Nullable String region,
        @JsonProperty("location") @Nullable Location location,
        @JsonProperty("chain_id") @Nullable String chainId,
        @JsonProperty("island_id") @Nullable String islandId,

        @JsonProperty("resources") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        Resources resources,

        @JsonProperty("delivery") Delivery delivery) {

    public static final int DEFAULT_CAPACITY = 100;

    private static final int MAX_PORT = 65_535;
    private static final int MAX_URL_LENGTH = 2_000;

    public Registration {
        Ids.checkAgentId("agent_id", agentId);
        agentType = Checks.text("agent_type", agentType);
        capabilities = Checks.texts("capabilities", capabilities);
        services = Checks.texts("services", services);
        endpoints = endpoints == null ? Json.object() : endpoints;
        metadata = metadata == null ? Json.object() : metadata;
        tags = Checks.texts("tags", tags);
        version = version == null ? "1.0.0" : Checks.text("version", version);
        capacity = Checks.range("capacity", capacity == null ? DEFAULT_CAPACITY : capacity, 1, 100_000);
        weight = Checks.range("weight", weight == null ? 1.0 : weight, 0.001, 1_000);
        region = Checks.optionalText("region", region);
        chainId = Checks.optionalText("chain_id", chainId);
        islandId = Checks.optionalText("island_id", islandId);
        resources = resources == null ? Resources.NONE : resources;
        delivery = delivery == null ? Delivery.KAFKA : delivery;
        if (delivery == Delivery.PUSH) {
            checkEndpoint(endpoints.path("http").asString(""));
        }
    }

    private static void checkEndpoint(String url) {
        try {
            URI uri = new URI(url);
            if (("http".equalsIgnoreCase(uri.getScheme()) || "https".equalsIgnoreCase(uri.getScheme()))
                    && uri.getHost() != null
                    && uri.getPort() <= MAX_PORT
                    && url.length() <= MAX_URL_LENGTH
                    && uri.getUserInfo() == null
                    && uri.getQuery() == null
                    && uri.getFragment() == null) {
                return;
            }
        } catch (URISyntaxException e) {
            // Reported below.
        }
        throw new IllegalArgumentException("endpoints.http must be an http or https URL of at most " + MAX_URL_LENGTH
                + " characters without user, query and fragment, because delivery is push: "
                + (url.isEmpty() ? "it is missing" : url));
    }

    /** The base URL of an agent with {@link Delivery#PUSH}, without a trailing slash. */
    public URI httpEndpoint() {
        return URI.create(endpoints.path("http").asString().replaceFirst("/+$", ""));
    }

    /** A copy with resources. */
    public Registration withResources(Resources declared) {
        return new Registration(
                agentId,
                agentType,
                capabilities,
                services,
                endpoints,
                metadata,
                tags,
                version,
                capacity,
                weight,
                region,
                location,
                chainId,
                islandId,
                declared,
                delivery);
    }

    /** An agent with a type, capabilities and a capacity; everything else has its default. */
    public static Registration of(String agentId, String agentType, List<String> capabilities, int capacity) {
        return new Registration(
                agentId,
                agentType,
                capabilities,
                List.of(),
                Json.object(),
                Json.object(),
                List.of(),
                "1.0.0",
                capacity,
                1.0,
                null,
                null,
                null,
                null,
                Resources.NONE,
                Delivery.KAFKA);
    }
}

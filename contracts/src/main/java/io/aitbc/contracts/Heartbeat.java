package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.annotation.JsonDeserialize;

/**
 * A periodic liveness and load report: the value on {@code agents.heartbeat}, keyed by agent id.
 *
 * @param status when absent: {@code active} for a new, stale or inactive agent, otherwise unchanged
 * @param loadMetrics when absent: unchanged. {@code cpu_usage} and {@code memory_usage} are read as fractions, or as percentages
 *     when above 1. Values may be numbers written as text
 * @param sentAt by the agent's clock; only used to report its skew, since coordinators go by the time of receipt
 * @param instanceId identifies one process among several using the same agent id, so that two running at once are detected.
 *     Should be generated at each start
 * @param registration the agent's complete self-description; with it, an agent can register over Kafka alone
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Heartbeat(
        @JsonProperty("agent_id") String agentId,
        @JsonProperty("status") @Nullable AgentStatus status,

        @JsonProperty("load_metrics") @JsonDeserialize(contentUsing = MetricDeserializer.class) @Nullable
        Map<String, Double> loadMetrics,

        @JsonProperty("sent_at") @Nullable Instant sentAt,
        @JsonProperty("instance_id") @Nullable String instanceId,
        @JsonProperty("registration") @Nullable Registration registration) {

    public Heartbeat {
        Ids.check("agent_id", agentId);
        if (loadMetrics != null) {
            loadMetrics = Checks.metrics("load_metrics", loadMetrics);
        }
        if (instanceId != null) {
            Ids.check("instance_id", instanceId);
        }
        if (registration != null && !registration.agentId().equals(agentId)) {
            throw new IllegalArgumentException("registration.agent_id must equal agent_id but was \""
                    + registration.agentId() + "\", not \"" + agentId + "\"");
        }
    }

    /** A heartbeat that carries only a registration. */
    public static Heartbeat of(Registration registration) {
        return new Heartbeat(registration.agentId(), null, null, null, null, registration);
    }
}

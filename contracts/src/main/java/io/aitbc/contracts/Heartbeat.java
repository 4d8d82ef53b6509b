package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * An agent's sign of life: the value on {@code agents.heartbeat}, keyed by agent id.
 *
 * @param status absent: {@code active} when the agent is new, else as it was
 * @param loadMetrics absent: as they were. {@code cpu_usage} and {@code memory_usage} are read as fractions, or as percent when
 *     above 1
 * @param sentAt by the agent's clock; the time of receipt decides, this only shows the skew
 * @param instanceId tells one process from another that goes by the same agent id, best made anew at each start: so that two that
 *     run at once are found out
 * @param registration the agent's whole self-description: with it nothing but Kafka is needed to register
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Heartbeat(
        @JsonProperty("agent_id") String agentId,
        @JsonProperty("status") @Nullable AgentStatus status,
        @JsonProperty("load_metrics") @Nullable Map<String, Double> loadMetrics,
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
                    + registration.agentId() + "\" beside \"" + agentId + "\"");
        }
    }

    /** The registration of an agent that has said nothing else. */
    public static Heartbeat of(Registration registration) {
        return new Heartbeat(registration.agentId(), null, null, null, null, registration);
    }
}

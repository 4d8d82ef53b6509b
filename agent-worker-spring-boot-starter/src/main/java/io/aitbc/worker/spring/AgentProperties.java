package io.aitbc.worker.spring;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Configures the agent.
 *
 * @param id the agent's id: letters, digits and {@code . _ -}. Two processes must not share one
 * @param bootstrapServers Kafka servers as {@code host:port}, comma-separated
 * @param topicPrefix as configured for the coordinators
 * @param type the agent type
 * @param capacity maximum number of tasks at a time, 1 to 100,000
 * @param capabilities in addition to the task types of its handlers
 * @param services offered
 * @param tags for requirements and searches
 * @param resources what it has for the tasks it works on at the same time, such as {@code gpu: 4}
 * @param region name of its region
 * @param heartbeatInterval time between two heartbeats; coordinators expect one every 30 s
 * @param drainTimeout how long running tasks may take to finish when the application stops
 * @param apiKey API key of the agent, required while the coordinators' security is on
 * @param kafka further settings of the Kafka clients, such as those for security
 */
@ConfigurationProperties("aitbc.agent")
record AgentProperties(
        @Nullable String id,
        @DefaultValue("localhost:9092") String bootstrapServers,
        @DefaultValue("") String topicPrefix,
        @DefaultValue("worker") String type,
        @DefaultValue("10") int capacity,
        @DefaultValue List<String> capabilities,
        @DefaultValue List<String> services,
        @DefaultValue List<String> tags,
        @DefaultValue Map<String, BigDecimal> resources,
        @Nullable String region,
        @DefaultValue("10s") Duration heartbeatInterval,
        @DefaultValue("20s") Duration drainTimeout,
        @Nullable String apiKey,
        @DefaultValue Map<String, String> kafka) {
    /** Without the credentials. */
    @Override
    public String toString() {
        return "AgentProperties[id=" + id + "]";
    }
}

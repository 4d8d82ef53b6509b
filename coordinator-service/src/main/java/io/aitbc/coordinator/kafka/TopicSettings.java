package io.aitbc.coordinator.kafka;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * How topics are made. Changing them later does not change topics that exist.
 *
 * @param prefix stands before the name of every topic
 * @param partitions of the task, result and heartbeat topics
 * @param replication 0: as the broker does by default
 * @param taskRetention how long tasks that are done are kept in their topics; one that is not done is kept for as long as it takes
 * @param assignmentRetention how long assignments are kept in an agent's topic; longer than any attempt may take
 * @param resultTransactionTimeout how long an agent may keep a transaction on the topic of results open before coordinators abort it;
 *     zero: never, the broker does after {@code transaction.max.timeout.ms}
 * @param departedAgentRetention how long the topic of an agent is kept after it has deregistered
 */
@Validated
@ConfigurationProperties("aitbc.topics")
public record TopicSettings(
        String prefix,
        @Min(1) @Max(1000) int partitions,
        @Min(0) @Max(10) short replication,
        Duration taskRetention,
        Duration assignmentRetention,
        Duration resultTransactionTimeout,
        Duration departedAgentRetention) {}

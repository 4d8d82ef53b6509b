package io.aitbc.coordinator.kafka;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Settings for topic creation. A change does not affect existing topics.
 *
 * @param prefix prepended to every topic name
 * @param partitions of the task, result and heartbeat topics
 * @param replication 0: the broker's default
 * @param taskRetention how long records of finished tasks are kept in their topics; unfinished ones are kept indefinitely
 * @param assignmentRetention how long assignments are kept in an agent's topic; longer than any attempt may take
 * @param resultTransactionTimeout how long an agent may keep a transaction on the results topic open before coordinators abort it; zero:
 *     never, only the broker does after {@code transaction.max.timeout.ms}
 * @param departedAgentRetention how long the topic of a deregistered agent is kept
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

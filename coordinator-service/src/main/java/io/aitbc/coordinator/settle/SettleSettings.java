package io.aitbc.coordinator.settle;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * How attempts end.
 *
 * @param taskRetention how long the state and result of an ended task can be asked for
 * @param retryBackoff how long a task waits after its first failed attempt; twice as long after each further one, a quarter more or
 *     less by chance
 * @param maxRetryBackoff and no longer than this
 */
@ConfigurationProperties("aitbc.settle")
public record SettleSettings(
        @DefaultValue("24h") Duration taskRetention,
        @DefaultValue("1s") Duration retryBackoff,
        @DefaultValue("5m") Duration maxRetryBackoff) {}

package io.aitbc.coordinator.settle;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * How attempts end.
 *
 * @param taskRetention how long the state and result of an ended task can be asked for
 * @param retryBackoff how long a task waits after its first failed attempt; twice as long after each further one, a quarter more or
 *     less by chance
 * @param maxRetryBackoff and no longer than this
 */
@ConfigurationProperties("aitbc.settle")
public record SettleSettings(Duration taskRetention, Duration retryBackoff, Duration maxRetryBackoff) {}

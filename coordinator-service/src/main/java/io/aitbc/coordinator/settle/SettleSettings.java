package io.aitbc.coordinator.settle;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Settings for how attempts end.
 *
 * @param taskRetention how long the state and result of an ended task can be queried
 * @param retryBackoff delay after the first failed attempt; doubles with each further one, with 25% jitter
 * @param maxRetryBackoff upper bound of the delay
 */
@ConfigurationProperties("aitbc.settle")
public record SettleSettings(Duration taskRetention, Duration retryBackoff, Duration maxRetryBackoff) {}

package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.validation.annotation.Validated;

/**
 * How tasks are dispatched.
 *
 * @param agingInterval how long a task waits to rise by one priority; 0: never
 * @param strategy until another is set over REST
 * @param windowPerPartition how many unfinished tasks of a partition are held in memory; further ones stay in Kafka
 * @param windowBytesPerPartition and how large these may be together
 * @param batch how many tasks are reserved in one call at most; with more agents than a quarter of it, four for each, up to four times as many
 * @param maxTaskBytes a larger task on Kafka is set aside
 */
@Validated
@ConfigurationProperties("aitbc.dispatch")
public record DispatchSettings(
        @DefaultValue("60s") Duration agingInterval,
        @DefaultValue("LEAST_CONNECTIONS") LoadBalancingStrategy strategy,
        @DefaultValue("4000") @Min(1) @Max(20_000) int windowPerPartition,
        @DefaultValue("4194304") @Min(1) long windowBytesPerPartition,
        @DefaultValue("1000") @Min(1) @Max(10_000) int batch,

        @DefaultValue("1048576") @Min(1_000) @Max(10_000_000)
        int maxTaskBytes) {

    public DispatchSettings {
        if (agingInterval.isNegative() || !agingInterval.isZero() && agingInterval.toMillis() == 0) {
            throw new IllegalArgumentException("aging interval must be 0 or at least 1 ms but was " + agingInterval);
        }
    }
}

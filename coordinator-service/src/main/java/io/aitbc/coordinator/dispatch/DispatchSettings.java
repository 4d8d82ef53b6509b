package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.match.Aging;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * How tasks are dispatched.
 *
 * @param agingInterval a task is aged once it has waited this long for each level above its own; 0: strict priority
 * @param agedShare of the choices for which aged and more urgent tasks compete, the part that goes to the aged
 * @param strategy until another is set over REST
 * @param windowPerPartition how many unfinished tasks of a partition are held in memory; further ones stay in Kafka
 * @param windowBytesPerPartition and how large these may be together
 * @param batch how many tasks are reserved in one call at most; with more agents than a quarter of it, four for each, up to four times as many
 * @param maxTaskBytes a larger task on Kafka is set aside
 */
@Validated
@ConfigurationProperties("aitbc.dispatch")
public record DispatchSettings(
        Duration agingInterval,
        double agedShare,
        LoadBalancingStrategy strategy,
        @Min(1) @Max(20_000) int windowPerPartition,
        @Min(1) long windowBytesPerPartition,
        @Min(1) @Max(10_000) int batch,

        @Min(1_000) @Max(10_000_000) int maxTaskBytes) {

    public DispatchSettings {
        new Aging(agingInterval, agedShare);
    }

    public Aging aging() {
        return new Aging(agingInterval, agedShare);
    }
}

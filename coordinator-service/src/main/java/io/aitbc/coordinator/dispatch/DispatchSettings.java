package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.match.Aging;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Settings for dispatching.
 *
 * @param agingInterval a task is aged once it has waited this long for each level above its own; 0: strict priority
 * @param agedShare share of choices given to aged tasks where they compete with more urgent ones
 * @param strategy until another is set over REST
 * @param windowPerPartition maximum number of unfinished tasks of a partition held in memory; further ones stay in Kafka
 * @param windowBytesPerPartition maximum total size of these tasks
 * @param batch maximum number of tasks reserved per call; with more agents than a quarter of it, four tasks per agent, up to four times as
 *     many
 * @param maxTaskBytes a larger task on Kafka is dead-lettered
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

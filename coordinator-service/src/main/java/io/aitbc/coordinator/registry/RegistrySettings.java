package io.aitbc.coordinator.registry;

import io.aitbc.coordinator.agent.HealthPolicy;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * When an agent counts as healthy and alive; see {@link HealthPolicy} for each setting.
 *
 * @param maxCpu CPU utilisation at or above which an agent gets no tasks
 */
@Validated
@ConfigurationProperties("aitbc.registry")
public record RegistrySettings(
        Duration heartbeatInterval,
        Duration heartbeatTimeout,

        @DecimalMin("0") @DecimalMax("1") double minHealthScore,

        @DecimalMin("0") double maxCpu,
        @DecimalMin("0") double maxMemory) {

    public HealthPolicy healthPolicy() {
        return new HealthPolicy(heartbeatInterval, heartbeatTimeout, minHealthScore, maxCpu, maxMemory);
    }
}

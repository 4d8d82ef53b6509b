package io.aitbc.coordinator.push;

import io.aitbc.coordinator.delivery.AssignmentClaims;
import io.aitbc.coordinator.intake.ResultReports;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.HeartbeatLoop;
import io.aitbc.coordinator.registry.HeartbeatTopic;
import io.aitbc.coordinator.registry.RegistrationCopies;
import io.aitbc.coordinator.registry.Registry;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(PushSettings.class)
class PushConfiguration {
    @Bean(destroyMethod = "")
    PushLoop pushLoop(
            Registry registry,
            HeartbeatLoop heartbeats,
            HeartbeatTopic topic,
            AssignmentClaims claims,
            ResultReports reports,
            Redis redis,
            PushSettings settings,
            MeterRegistry meters,
            Clock clock) {
        AgentHttp http = new AgentHttp(settings.allowPrivateAddresses(), clock);
        return new PushLoop(
                registry,
                new RegistrationCopies(registry, topic),
                heartbeats::owns,
                new PushEffects(http, claims, reports, redis, settings, meters, clock),
                clock);
    }
}

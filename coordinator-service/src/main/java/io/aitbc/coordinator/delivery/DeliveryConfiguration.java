package io.aitbc.coordinator.delivery;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.HeartbeatTopic;
import io.aitbc.coordinator.registry.Registry;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class DeliveryConfiguration {
    @Bean(destroyMethod = "")
    DeliveryLoop deliveryLoop(KafkaClients clients, SharedTopics shared, Topics topics, Redis redis) {
        return new DeliveryLoop(clients, shared, topics, redis);
    }

    @Bean(destroyMethod = "")
    AssignmentClaims assignmentClaims(
            Redis redis, Registry registry, HeartbeatTopic heartbeats, MeterRegistry meters, Clock clock) {
        return new AssignmentClaims(redis, registry, heartbeats, meters, clock);
    }
}

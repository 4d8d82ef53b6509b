package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.kafka.TopicSettings;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.security.Signatures;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.Producer;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(RegistrySettings.class)
class RegistryConfiguration {
    @Bean
    Registry registry(Redis redis, TopicCatalog topics, RegistrySettings settings) {
        return new Registry(redis, topics, settings.healthPolicy());
    }

    @Bean(destroyMethod = "")
    HeartbeatLoop heartbeatLoop(
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            TopicSettings topicSettings,
            Registry registry,
            DeadLetters deadLetters,
            Signatures signatures,
            MeterRegistry meters,
            Clock clock) {
        return new HeartbeatLoop(
                clients, shared, topics, topicSettings.partitions(), registry, deadLetters, signatures, meters, clock);
    }

    @Bean
    HeartbeatTopic heartbeatTopic(Producer<String, byte[]> producer, Topics topics, Signatures signatures) {
        return new HeartbeatTopic(producer, topics, signatures);
    }

    @Bean
    HeartbeatArchive heartbeatArchive(KafkaClients clients, Topics topics, Registry registry, Signatures signatures) {
        return new HeartbeatArchive(clients, topics, registry, signatures);
    }

    @Bean(destroyMethod = "")
    ReachCheck reachCheck(Admin admin, Topics topics, Registry registry, HeartbeatLoop heartbeats) {
        return new ReachCheck(admin, topics, registry, heartbeats::owns);
    }

    @Bean(destroyMethod = "")
    TopicRemover topicRemover(Registry registry, TopicSettings topicSettings, HeartbeatLoop heartbeats, Clock clock) {
        return new TopicRemover(registry, topicSettings.departedAgentRetention(), heartbeats::owns, clock);
    }
}

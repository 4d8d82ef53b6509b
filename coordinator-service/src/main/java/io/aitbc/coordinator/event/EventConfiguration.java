package io.aitbc.coordinator.event;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.LazyClient;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.redis.Redis;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class EventConfiguration {
    private static final Duration LINGER = Duration.ofMillis(1);
    /** A record is sent again after that. */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofMinutes(2);

    private static final Duration MAX_BLOCK = Duration.ofSeconds(1);

    @Bean(destroyMethod = "")
    TaskEvents taskEvents(
            KafkaClients clients,
            Topics topics,
            MeterRegistry meters,
            @Value("${aitbc.events.enabled}") boolean enabled) {
        return new TaskEvents(enabled ? producer(clients) : null, topics.events(), meters);
    }

    @SuppressWarnings("unchecked")
    private static Producer<String, byte[]> producer(KafkaClients clients) {
        return LazyClient.of(
                Producer.class,
                () -> clients.producer(
                        "events",
                        LINGER,
                        DELIVERY_TIMEOUT,
                        Map.of(
                                ProducerConfig.BUFFER_MEMORY_CONFIG,
                                64L * 1024 * 1024,
                                ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
                                TopicCatalog.MAX_EVENT_BYTES,
                                ProducerConfig.MAX_BLOCK_MS_CONFIG,
                                MAX_BLOCK.toMillis())));
    }

    @Bean(destroyMethod = "")
    EventOutbox eventOutbox(Redis redis, TaskEvents events, Clock clock) {
        return new EventOutbox(redis, events, clock);
    }
}

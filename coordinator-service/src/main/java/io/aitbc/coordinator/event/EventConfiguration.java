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
    /** Few large batches: no agent waits for an event. */
    private static final Duration LINGER = Duration.ofMillis(50);

    private static final int BATCH_BYTES = 256 * 1024;
    private static final long BUFFER_BYTES = 64L * 1024 * 1024;
    /** How long the partitions of the topic are known without an event. */
    private static final Duration METADATA_IDLE = Duration.ofDays(30);
    /** A record is sent again after that. */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofMinutes(2);

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
                                ProducerConfig.BATCH_SIZE_CONFIG,
                                BATCH_BYTES,
                                // Events are twice as many bytes as all else together, and much alike.
                                ProducerConfig.COMPRESSION_TYPE_CONFIG,
                                "lz4",
                                ProducerConfig.BUFFER_MEMORY_CONFIG,
                                BUFFER_BYTES,
                                ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
                                TopicCatalog.MAX_EVENT_BYTES,
                                ProducerConfig.METADATA_MAX_IDLE_CONFIG,
                                METADATA_IDLE.toMillis(),
                                // Callers of TaskEvents do not block.
                                ProducerConfig.MAX_BLOCK_MS_CONFIG,
                                0L)));
    }

    @Bean(destroyMethod = "")
    EventOutbox eventOutbox(Redis redis, TaskEvents events, Clock clock) {
        return new EventOutbox(redis, events, clock);
    }
}

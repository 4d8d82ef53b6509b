package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.trace.Traces;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class AssignConfiguration {
    /**
     * When it expires, the reservation is verified and the assignment published again. Bounded because, after a leader change, every retry
     * of a batch can fail with {@code OUT_OF_ORDER_SEQUENCE_NUMBER} until this timeout (KAFKA-15591).
     */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofSeconds(30);

    /** By default the producer drops a topic's metadata after five idle minutes, and the next send blocks to fetch it. */
    private static final Duration METADATA_MAX_IDLE = Duration.ofDays(1);

    /** Blocks at most this long if a topic has vanished or the buffer is full; the unsent assignments are then reserved again. */
    private static final Duration MAX_BLOCK = Duration.ofMillis(250);

    @Bean(destroyMethod = "")
    AssignmentPublisher assignmentPublisher(
            KafkaClients clients, TopicCatalog catalog, Topics topics, Signatures signatures, Traces traces) {
        return new AssignmentPublisher(
                number -> clients.producer(
                        "assignments-" + (1 + number),
                        Duration.ofMillis(1),
                        DELIVERY_TIMEOUT,
                        Map.of(
                                ProducerConfig.BUFFER_MEMORY_CONFIG,
                                64L * 1024 * 1024,
                                ProducerConfig.METADATA_MAX_IDLE_CONFIG,
                                METADATA_MAX_IDLE.toMillis(),
                                ProducerConfig.MAX_BLOCK_MS_CONFIG,
                                MAX_BLOCK.toMillis())),
                catalog,
                topics,
                signatures,
                traces);
    }
}

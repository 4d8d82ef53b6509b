package io.aitbc.worker;

import io.aitbc.contracts.Topics;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;

/**
 * Settings of an agent's Kafka clients.
 *
 * @param own settings by the user of the library, such as those for security; the ones that the agent depends on take precedence
 */
record KafkaSettings(String bootstrapServers, Map<String, Object> own) {
    private static final int MAX_RECORD_BYTES = 2 * 1024 * 1024;
    private static final int MAX_POLL_RECORDS = 500;

    /** For a consumer without a group. */
    Map<String, Object> reader() {
        Map<String, Object> config = client();
        config.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        config.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return config;
    }

    /** For the member of the agent's consumer group. */
    Map<String, Object> member(Topics topics, String agentId, int capacity) {
        Map<String, Object> config = reader();
        config.put(ConsumerConfig.GROUP_ID_CONFIG, topics.agentGroup(agentId));
        // Static membership: a restarted agent resumes immediately, and of two with the same id the later one wins.
        config.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, agentId);
        config.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, Math.min(MAX_POLL_RECORDS, capacity));
        return config;
    }

    Map<String, Object> producer() {
        Map<String, Object> config = client();
        config.put(ProducerConfig.ACKS_CONFIG, "all");
        config.put(ProducerConfig.LINGER_MS_CONFIG, 5);
        config.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, MAX_RECORD_BYTES);
        // Results retries what the producer gives up on. Without these limits, a batch for a missing partition would
        // be retried forever, and a missing topic would block the handler's thread.
        config.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, 10_000);
        // After a leader change, retries of a batch may fail until this timeout (KAFKA-15591). Kafka rejects a delivery
        // timeout below
        // request.timeout.ms, so a custom one leaves the default in place.
        if (!config.containsKey(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG)) {
            config.putIfAbsent(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 35_000);
        }
        return config;
    }

    private Map<String, Object> client() {
        Map<String, Object> config = new HashMap<>(own);
        config.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers);
        config.put(CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG, 1_000);
        return config;
    }
}

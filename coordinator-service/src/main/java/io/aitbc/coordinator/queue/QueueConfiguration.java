package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.LazyClient;
import io.aitbc.coordinator.kafka.TopicSettings;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.Producer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class QueueConfiguration {
    /** Delivery timeout of the producer. Callers wait for it, and then get an error. */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofSeconds(5);

    /** The producer of all topics except assignments. */
    @Bean
    @SuppressWarnings("unchecked")
    Producer<String, byte[]> producer(KafkaClients clients) {
        return LazyClient.of(
                Producer.class, () -> clients.producer("tasks", Duration.ZERO, DELIVERY_TIMEOUT, Map.of()));
    }

    @Bean
    TaskQueue taskQueue(Producer<String, byte[]> producer, Topics topics) {
        return new TaskQueue(producer, topics);
    }

    @Bean(destroyMethod = "")
    OpenTransactions openTransactions(
            Admin admin,
            KafkaClients clients,
            Topics topics,
            TopicSettings settings,
            MeterRegistry meters,
            Clock clock) {
        return new OpenTransactions(admin, clients, topics, settings.resultTransactionTimeout(), meters, clock);
    }

    @Bean(destroyMethod = "")
    FinishedTaskCleaner finishedTaskCleaner(Admin admin, QueueSizes sizes, TopicSettings settings, Clock clock) {
        return new FinishedTaskCleaner(admin, sizes, settings.taskRetention(), clock);
    }

    @Bean
    TaskArchive taskArchive(KafkaClients clients, Topics topics, TaskRecords records, QueueSizes sizes) {
        return new TaskArchive(clients, topics, records, sizes);
    }
}

package io.aitbc.coordinator.deadletter;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.micrometer.core.instrument.MeterRegistry;
import org.apache.kafka.clients.producer.Producer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class DeadLetterConfiguration {
    @Bean
    DeadLetters deadLetters(Producer<String, byte[]> producer, Topics topics, MeterRegistry meters) {
        return new DeadLetters(producer, topics, meters);
    }

    @Bean
    DeadLetterArchive deadLetterArchive(KafkaClients clients, Topics topics) {
        return new DeadLetterArchive(clients, topics);
    }
}

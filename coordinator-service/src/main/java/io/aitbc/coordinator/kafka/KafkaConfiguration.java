package io.aitbc.coordinator.kafka;

import io.aitbc.contracts.Topics;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.common.Uuid;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.kafka.autoconfigure.DefaultKafkaConsumerFactoryCustomizer;
import org.springframework.boot.kafka.autoconfigure.DefaultKafkaProducerFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.ProducerFactory;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(TopicSettings.class)
class KafkaConfiguration {
    @Bean
    Topics topics(TopicSettings settings) {
        return new Topics(settings.prefix());
    }

    @Bean
    CoordinatorId coordinatorId() {
        return new CoordinatorId(Uuid.randomUuid().toString());
    }

    @Bean
    KafkaClients kafkaClients(
            ConsumerFactory<?, ?> consumers, ProducerFactory<?, ?> producers, CoordinatorId id, MeterRegistry meters) {
        return new KafkaClients(consumers, producers, id, meters);
    }

    @Bean
    GroupMembers groupMembers(Admin admin, KafkaClients clients) {
        return new GroupMembers(admin, clients);
    }

    @Bean
    ClientFile clientFile(@Value("${aitbc.kafka.config}") String file) {
        return ClientFile.read(file);
    }

    @Bean
    DefaultKafkaConsumerFactoryCustomizer clientFileForConsumers(ClientFile file) {
        return consumers -> consumers.updateConfigs(file.settings());
    }

    @Bean
    DefaultKafkaProducerFactoryCustomizer clientFileForProducers(ClientFile file) {
        return producers -> producers.updateConfigs(file.settings());
    }

    @Bean
    Admin kafkaAdminClient(KafkaAdmin springAdmin, ClientFile file) {
        Map<String, Object> config = new HashMap<>(springAdmin.getConfigurationProperties());
        config.putAll(file.settings());
        // REST calls wait for it: fail after a few seconds rather than hang for a minute.
        config.put(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 10_000);
        config.put(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, 5_000);
        config.put(CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG, 1_000);
        return LazyClient.of(Admin.class, () -> Admin.create(config));
    }

    @Bean
    TopicCatalog topicCatalog(
            Admin admin, Topics topics, TopicSettings settings, @Value("${aitbc.events.enabled}") boolean events) {
        return new TopicCatalog(admin, topics, settings, events);
    }

    @Bean(destroyMethod = "")
    SharedTopics sharedTopics(Admin admin, TopicCatalog catalog) {
        return new SharedTopics(admin, catalog);
    }
}

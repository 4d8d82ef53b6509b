package io.aitbc.coordinator.audit;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.security.Credentials;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.servlet.DispatcherType;
import java.time.Clock;
import java.util.EnumSet;
import org.apache.kafka.clients.producer.Producer;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;

@Configuration(proxyBeanMethods = false)
class AuditConfiguration {
    @Bean(destroyMethod = "")
    AuditTrail auditTrail(Producer<String, byte[]> producer, Topics topics, MeterRegistry meters) {
        return new AuditTrail(producer, topics.audit(), meters);
    }

    @Bean
    AuditArchive auditArchive(KafkaClients clients, Topics topics) {
        return new AuditArchive(clients, topics);
    }

    @Bean
    FilterRegistrationBean<AuditFilter> auditFilter(
            AuditTrail trail, ObjectProvider<Credentials> credentials, Clock clock) {
        FilterRegistrationBean<AuditFilter> registration =
                new FilterRegistrationBean<>(new AuditFilter(trail, credentials.getIfAvailable() != null, clock));
        // Around the security filter, which refuses.
        registration.setOrder(Ordered.HIGHEST_PRECEDENCE);
        registration.setDispatcherTypes(EnumSet.of(DispatcherType.REQUEST, DispatcherType.ASYNC));
        return registration;
    }

    @Bean
    WebServerFactoryCustomizer<TomcatServletWebServerFactory> peerAddress() {
        return factory -> factory.addContextValves(new PeerAddressValve());
    }
}

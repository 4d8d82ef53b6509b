package io.aitbc.coordinator.trace;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class TraceConfiguration {
    @Bean
    Traces traces(@Value("${otel.exporter.otlp.endpoint:}") String endpoint) {
        return endpoint.isBlank() ? Traces.none() : Traces.exportingTo(endpoint);
    }
}

package io.aitbc.coordinator.metrics;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.config.MeterFilter;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class MetricsConfiguration {
    /** Kafka's clients measure each topic and each broker: an agent is a topic, and there may be thousands. */
    @Bean
    MeterFilter withoutLabelsPerAgent() {
        return MeterFilter.deny(MetricsConfiguration::tellsOfOneTopicOrBroker);
    }

    private static boolean tellsOfOneTopicOrBroker(Meter.Id id) {
        return id.getName().startsWith("kafka.")
                && (id.getTag("topic") != null || id.getTag("node.id") != null || id.getTag("partition") != null);
    }
}

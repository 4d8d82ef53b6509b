package io.aitbc.coordinator.history;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.util.Optional;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Condition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.type.AnnotatedTypeMetadata;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(HistorySettings.class)
class HistoryConfiguration {
    /** Without a database, there are no connections. */
    static final class IsOn implements Condition {
        @Override
        public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
            return !HistorySettings.isOff(context.getEnvironment().getProperty("aitbc.history.url", ""));
        }
    }

    @Bean
    @Conditional(IsOn.class)
    HistoryDatabase historyDatabase(HistorySettings settings, Clock clock) {
        return new HistoryDatabase(settings, clock);
    }

    @Bean
    Lookups historyLookups() {
        return new Lookups();
    }

    @Bean
    TaskHistory taskHistory(Optional<HistoryDatabase> database, Lookups lookups, Clock clock) {
        return new TaskHistory(database.orElse(null), lookups, clock);
    }

    @Bean
    TaskFigures taskFigures(Optional<HistoryDatabase> database, Lookups lookups, Clock clock) {
        return new TaskFigures(database.orElse(null), lookups, clock);
    }

    @Bean
    BulkOperations bulkOperations(Optional<HistoryDatabase> database, Clock clock) {
        return new BulkOperations(database.orElse(null), clock);
    }

    @Bean(destroyMethod = "")
    HistoryLoop historyLoop(
            Optional<HistoryDatabase> database,
            HistorySettings settings,
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            MeterRegistry meters,
            @Value("${aitbc.events.enabled}") boolean eventsEnabled,
            Clock clock) {
        return new HistoryLoop(
                database.map(one -> new HistoryWriter(one, settings.retention(), clock))
                        .orElse(null),
                clients,
                shared,
                topics,
                meters,
                eventsEnabled,
                clock);
    }
}

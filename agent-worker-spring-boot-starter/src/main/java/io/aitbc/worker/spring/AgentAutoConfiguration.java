package io.aitbc.worker.spring;

import io.aitbc.worker.AgentWorker;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Runs the agent, unless {@code aitbc.agent.enabled} is false, as in a test of other parts of the application. */
@AutoConfiguration
@ConditionalOnBooleanProperty(name = "aitbc.agent.enabled", matchIfMissing = true)
@EnableConfigurationProperties(AgentProperties.class)
class AgentAutoConfiguration {
    /** Static: a post-processor is created before the beans that it processes. */
    @Bean
    static AgentHandlers agentHandlers() {
        return new AgentHandlers();
    }

    @Bean
    AgentLifecycle agentLifecycle(AgentProperties properties, AgentHandlers handlers) {
        return new AgentLifecycle(properties, handlers);
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(HealthIndicator.class)
    static class AgentHealth {
        /** Down once the agent has stopped on its own: the log states the reason. */
        @Bean
        HealthIndicator agentHealthIndicator(AgentLifecycle agent) {
            return () -> {
                AgentWorker worker = agent.worker();
                return worker == null
                        ? Health.unknown().build()
                        : (worker.isRunning() ? Health.up() : Health.down())
                                .withDetail("agent_id", worker.agentId())
                                .build();
            };
        }
    }
}

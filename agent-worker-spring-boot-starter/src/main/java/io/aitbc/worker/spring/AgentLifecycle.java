package io.aitbc.worker.spring;

import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Topics;
import io.aitbc.worker.AgentWorker;
import io.aitbc.worker.Handler;
import io.aitbc.worker.handlers.TaskTypes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;
import org.springframework.context.SmartLifecycle;

/** Starts the agent once all beans are ready, and drains it before they are destroyed. */
final class AgentLifecycle implements SmartLifecycle {
    private final AgentProperties properties;
    private final AgentHandlers handlers;
    private volatile @Nullable AgentWorker worker;

    AgentLifecycle(AgentProperties properties, AgentHandlers handlers) {
        this.properties = properties;
        this.handlers = handlers;
    }

    /** The running agent; null before the start and after the end. */
    @Nullable
    AgentWorker worker() {
        return worker;
    }

    @Override
    public void start() {
        Map<String, Handler> byType = handlers.byType();
        if (byType.isEmpty()) {
            throw new IllegalStateException("An agent needs a handler: no bean has a method with @AgentHandler");
        }
        Properties kafka = new Properties();
        kafka.putAll(properties.kafka());
        AgentWorker.Builder builder = AgentWorker.builder(
                        properties.bootstrapServers(), registration(byType), new TaskTypes(byType))
                .topics(new Topics(properties.topicPrefix()))
                .heartbeatInterval(properties.heartbeatInterval())
                .drainTimeout(properties.drainTimeout())
                .kafka(kafka);
        if (properties.apiKey() != null) {
            builder.apiKey(properties.apiKey());
        }
        worker = builder.start();
    }

    private Registration registration(Map<String, Handler> byType) {
        if (properties.id() == null) {
            throw new InvalidConfigurationPropertyValueException(
                    "aitbc.agent.id", null, "an agent needs an id that no other process uses");
        }
        List<String> capabilities = new ArrayList<>(byType.keySet());
        capabilities.addAll(properties.capabilities());
        return new Registration(
                properties.id(),
                properties.type(),
                capabilities,
                properties.services(),
                Json.object(),
                Json.object(),
                properties.tags(),
                "1.0.0",
                properties.capacity(),
                1.0,
                properties.region(),
                null,
                null,
                null,
                Resources.of(properties.resources()),
                Delivery.KAFKA);
    }

    @Override
    public void stop() {
        AgentWorker running = worker;
        worker = null;
        if (running != null) {
            running.close();
        }
    }

    @Override
    public boolean isRunning() {
        return worker != null;
    }
}

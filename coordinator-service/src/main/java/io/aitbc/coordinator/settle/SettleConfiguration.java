package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.queue.TaskArchive;
import io.aitbc.coordinator.queue.TaskQueue;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.HeartbeatArchive;
import io.aitbc.coordinator.registry.HeartbeatLoop;
import io.aitbc.coordinator.registry.ReachCheck;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.trace.Traces;
import io.aitbc.coordinator.usage.LimitUsage;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.apache.kafka.clients.admin.Admin;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(SettleSettings.class)
class SettleConfiguration {
    @Bean(destroyMethod = "")
    Settlement settlement(
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            TaskQueue queue,
            TaskArchive tasks,
            DeadLetters deadLetters,
            TaskEvents events,
            Redis redis,
            Registry registry,
            HeartbeatLoop heartbeats,
            HeartbeatArchive heartbeatArchive,
            ReachCheck reach,
            Admin admin,
            SettleSettings settings,
            MeterRegistry meterRegistry,
            Signatures signatures,
            Traces traces,
            Clock clock) {
        ResultRecords results = new ResultRecords(signatures);
        SettleMeters meters = new SettleMeters(meterRegistry);
        Attempts attempts = new Attempts(redis, settings.taskRetention());
        // Two threads requeue, each with its own generator: RandomGenerator.getDefault() is not thread-safe.
        Supplier<Requeuer> requeuer = () -> new Requeuer(
                attempts,
                queue,
                tasks,
                deadLetters,
                events,
                topics,
                settings,
                meters,
                clock,
                RandomGenerator.getDefault());
        Requeuer ofResults = requeuer.get();
        Requeuer ofRecovery = requeuer.get();
        return new Settlement(
                new IndexRebuild(
                        redis,
                        new CorruptKeys(redis, registry),
                        heartbeatArchive,
                        new InFlight(clients, admin, topics, results, attempts::states),
                        attempts,
                        events,
                        clock),
                new ResultLoop(
                        clients,
                        shared,
                        topics,
                        results,
                        attempts,
                        ofResults,
                        deadLetters,
                        events,
                        meters,
                        reach,
                        traces,
                        clock),
                new Recovery(
                        clients,
                        admin,
                        topics,
                        results,
                        attempts,
                        ofRecovery,
                        heartbeats::owns,
                        new LimitUsage(redis),
                        clock),
                new Retention(attempts));
    }
}

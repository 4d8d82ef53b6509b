package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.deadletter.DeadLetterArchive;
import io.aitbc.coordinator.event.EventOutbox;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskQueue;
import io.aitbc.coordinator.queue.TaskRecords;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.coordinator.trace.Traces;
import java.time.Clock;
import org.apache.kafka.clients.producer.Producer;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class IntakeConfiguration {
    @Bean
    Redrive redrive(DeadLetterArchive archive, TaskQueue queue, Redis redis, EventOutbox outbox, Clock clock) {
        return new Redrive(archive, queue, redis, outbox, clock);
    }

    @Bean(destroyMethod = "")
    ResultReports resultReports(
            Producer<String, byte[]> producer, Topics topics, TaskStates states, Redis redis, Signatures signatures) {
        return new ResultReports(producer, topics, states, redis, signatures);
    }

    @Bean
    WaitingLimit waitingLimit(Redis redis, @Value("${aitbc.limits.waiting-per-scope}") int limit) {
        return new WaitingLimit(redis, limit);
    }

    @Bean(destroyMethod = "")
    QueueLimit queueLimit(QueueSizes sizes, @Value("${aitbc.queues.max-waiting}") long limit) {
        return new QueueLimit(sizes, limit);
    }

    @Bean
    Submissions submissions(
            TaskQueue queue,
            TaskRecords records,
            QueueLimit limit,
            TaskStates states,
            Redis redis,
            Traces traces,
            Clock clock) {
        return new Submissions(queue, records, limit, states, redis, traces, clock);
    }
}

package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.assign.AssignmentPublisher;
import io.aitbc.coordinator.assign.Cancellations;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.event.EventOutbox;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.GroupMembers;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicSettings;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.queue.LedgerTopic;
import io.aitbc.coordinator.queue.QueuePeek;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskArchive;
import io.aitbc.coordinator.queue.TaskQueue;
import io.aitbc.coordinator.queue.TaskRecords;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.coordinator.registry.HeldAssignment;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.coordinator.usage.LimitUsage;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.Producer;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import tools.jackson.databind.JsonNode;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(DispatchSettings.class)
class DispatchConfiguration {
    private static final String GROUP = "agent-coordinator";

    /** Records per poll, in batches: a poll costs as much as several tasks. */
    private static final int POLLED_BATCHES = 4;

    /** Bounds the fetch delay: a resumed partition is not fetched before the pending fetch has returned. */
    private static final int MAX_FETCH_WAIT_MS = 20;

    private static final int MAX_PARTITION_FETCH_BYTES = 4 * 1024 * 1024;
    private static final int FETCHES_IN_HEAP = 256;

    /**
     * Most bytes of a partition in one fetch: more than is handled within {@link #MAX_FETCH_WAIT_MS}, or a fetch of idle partitions delays that
     * of the others. A small heap gets Kafka's default, as a fetch of each partition may be buffered.
     */
    private static int maxPartitionFetchBytes() {
        long share = Runtime.getRuntime().maxMemory() / FETCHES_IN_HEAP;
        return (int)
                Math.max(ConsumerConfig.DEFAULT_MAX_PARTITION_FETCH_BYTES, Math.min(MAX_PARTITION_FETCH_BYTES, share));
    }

    @Bean
    QueueSizes queueSizes(Admin admin, Topics topics, LedgerTopic ledger) {
        return new QueueSizes(admin, topics, topics.prefix() + GROUP, ledger);
    }

    @Bean(destroyMethod = "")
    LedgerTopic ledgerTopic(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            CoordinatorId id,
            Clock clock) {
        return new LedgerTopic(clients, shared, producer, topics, id.text(), clock);
    }

    @Bean(destroyMethod = "")
    LostRecords lostRecords(
            Redis redis,
            DeadLetters deadLetters,
            QueueSizes sizes,
            TaskArchive archive,
            EventOutbox outbox,
            MeterRegistry meters,
            Clock clock) {
        return new LostRecords(redis, deadLetters, sizes, archive, outbox, meters, clock);
    }

    private static Set<Position> positions(List<HeldAssignment> held) {
        return held.stream()
                .map(HeldAssignment::origin)
                .filter(Objects::nonNull)
                .flatMap(origin -> Position.parse(origin).stream())
                .collect(Collectors.toSet());
    }

    @Bean(destroyMethod = "")
    RecordFetcher recordFetcher(
            KafkaClients clients,
            Topics topics,
            TaskRecords records,
            DeadLetters deadLetters,
            QueueSizes sizes,
            MeterRegistry meters) {
        return new RecordFetcher(clients, topics, records, deadLetters, sizes, meters);
    }

    @Bean
    TaskRecords taskRecords(Topics topics, DispatchSettings settings) {
        return new TaskRecords(topics, settings.maxTaskBytes());
    }

    @Bean
    QueuePeek queuePeek(KafkaClients clients, QueueSizes sizes, TaskRecords records, TaskStates states) {
        return new QueuePeek(clients, sizes, records, states::statuses);
    }

    @Bean
    Cancellations cancellations(Redis redis, AssignmentPublisher assignments, EventOutbox outbox, Clock clock) {
        return new Cancellations(redis, assignments, outbox, clock);
    }

    @Bean(destroyMethod = "")
    Dispatcher dispatcher(
            CoordinatorId id,
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            LedgerTopic ledger,
            LostRecords lostRecords,
            TaskRecords records,
            DeadLetters deadLetters,
            RecordFetcher fetcher,
            TaskQueue queue,
            TopicSettings topicSettings,
            TaskStates taskStates,
            QueueSizes sizes,
            Redis redis,
            AssignmentPublisher assignments,
            TaskEvents events,
            Registry registry,
            DispatchSettings settings,
            ObjectProvider<ClusterControl> control,
            ObjectProvider<WantsExchange> wants,
            MeterRegistry meters,
            Clock clock) {
        TaskConsumer consumer = new TaskConsumer(
                () -> clients.groupConsumer(
                        topics.prefix() + GROUP,
                        Map.of(
                                ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                                POLLED_BATCHES * settings.batch(),
                                ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG,
                                MAX_FETCH_WAIT_MS,
                                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                                maxPartitionFetchBytes())),
                () -> shared.ids(topics.tasks()),
                topics);
        Mailbox mailbox = new Mailbox(consumer::wakeUp);
        DispatchMeters dispatchMeters = new DispatchMeters(meters);
        LaneEffects effects = new LaneEffects(
                mailbox,
                consumer,
                queue,
                fetcher,
                lostRecords,
                sizes,
                taskStates,
                new Reservations(redis, id.text()),
                assignments,
                events,
                deadLetters,
                new LaneEffects.Announcements(
                        report -> control.getObject().report(report),
                        offers -> wants.getObject().publishSlotOffers(offers),
                        judgement -> control.getObject().noteBudgets(judgement),
                        () -> control.getObject().publishLimitsVersion()),
                dispatchMeters);
        Matcher matcher = new Matcher(
                registry.healthPolicy(),
                settings.aging(),
                settings.strategy(),
                RandomGenerator.getDefault(),
                settings.payloadHeap());
        // Until the definitions of limits have been read.
        matcher.limits().define(LimitBook.UNREAD);
        Lane lane = new Lane(matcher, effects, settings.maxWaiting(), settings.batch());
        RecordIntake intake = new RecordIntake(records, deadLetters, mailbox, dispatchMeters);
        return new Dispatcher(
                lane,
                consumer,
                ledger,
                lostRecords,
                new KnownEnds(redis),
                () -> registry.heldByAll().thenApply(DispatchConfiguration::positions),
                mailbox,
                sizes,
                intake,
                dispatchMeters,
                topicSettings.taskRetention(),
                clock);
    }

    @Bean
    LimitUsage limitUsage(Redis redis) {
        return new LimitUsage(redis);
    }

    @Bean(destroyMethod = "")
    ClusterControl clusterControl(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            Dispatcher dispatcher,
            QueueSizes sizes,
            Redis redis,
            LimitUsage usage,
            DispatchSettings settings,
            Clock clock) {
        return new ClusterControl(
                clients, shared, producer, topics, dispatcher, sizes, redis, usage, settings.strategy(), clock);
    }

    @Bean(destroyMethod = "")
    AgentView agentView(
            CoordinatorId id,
            Redis redis,
            Registry registry,
            Dispatcher dispatcher,
            ClusterControl control,
            Clock clock) {
        return new AgentView(redis, registry, id.text(), new AgentView.Listener() {
            @Override
            public void agentsChanged(List<Agent> agents) {
                dispatcher.post(
                        matcher -> agents.forEach(agent -> matcher.agents().addOrUpdate(agent, clock.instant())));
            }

            @Override
            public void heartbeats(Supplier<List<Agent>> agents) {
                dispatcher.postLazily(matcher ->
                        agents.get().forEach(agent -> matcher.agents().updateState(agent, clock.instant())));
            }

            @Override
            public void agentsRemoved(Set<String> agentIds) {
                dispatcher.post(matcher -> agentIds.forEach(matcher.agents()::remove));
            }

            @Override
            public void heldCountsChanged(Map<String, Integer> counts) {
                dispatcher.post(matcher -> counts.forEach(matcher.agents()::updateHeldCount));
            }

            @Override
            public void openSlotsChanged(Map<String, Integer> slots) {
                dispatcher.post(matcher -> slots.forEach(matcher.agents()::updateOpenSlots));
            }

            @Override
            public void unpublished(Set<String> taskIds) {
                dispatcher.postToLane(lane -> lane.unpublished(taskIds));
            }

            @Override
            public void limitsChanged(JsonNode states) {
                Map<String, LimitState> parsed = LimitUsage.states(states, clock.instant());
                control.noteOverspent(parsed);
                dispatcher.post(matcher -> matcher.updateLimits(parsed));
            }

            @Override
            public void limitsUnknown() {
                dispatcher.post(matcher -> matcher.limits().forgetStates());
            }

            @Override
            public void rebuilt() {
                dispatcher.postToLane(Lane::recordAllAgain);
            }

            @Override
            public void cancelled(Set<String> taskIds) {
                dispatcher.postToLane(lane -> lane.cancelled(taskIds));
            }
        });
    }

    @Bean(destroyMethod = "")
    LaneStatsReporter laneStatsReporter(CoordinatorId id, Dispatcher dispatcher, Redis redis, Clock clock) {
        return new LaneStatsReporter(id.text(), dispatcher, redis, clock);
    }

    @Bean(destroyMethod = "")
    FailureDetector failureDetector(CoordinatorId id, Redis redis, GroupMembers members) {
        return new FailureDetector(id, redis, members);
    }

    @Bean(destroyMethod = "")
    WantsExchange wantsExchange(CoordinatorId id, Dispatcher dispatcher, Redis redis, Clock clock) {
        return new WantsExchange(id.text(), dispatcher, redis, clock);
    }
}

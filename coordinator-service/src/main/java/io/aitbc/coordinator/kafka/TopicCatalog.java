package io.aitbc.coordinator.kafka;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Makes the topics that are missing. Broker auto-creation is not relied on. May be used by any thread. */
public final class TopicCatalog {
    /** The largest record that any topic takes: twice the default limit of a task. */
    public static final int MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

    /**
     * What a broker makes ready of each of the two indexes of a topic's newest segment, instead of 10 MiB: enough for 350 MB of records.
     * Linux keeps as much of it in memory as it reads ahead, and there are as many topics as agents.
     */
    public static final int AGENT_TOPIC_INDEX_BYTES = 1024 * 1024;

    private final Admin admin;
    private final Topics topics;
    private final TopicSettings settings;
    /** Agents whose topics are to be made, or are being made, each with those who wait for it. */
    private final Map<String, CompletableFuture<Void>> wanted = new ConcurrentHashMap<>();

    private final ReentrantLock creating = new ReentrantLock();

    public TopicCatalog(Admin admin, Topics topics, TopicSettings settings) {
        this.admin = admin;
        this.topics = topics;
        this.settings = settings;
    }

    /** Makes all topics that do not belong to one agent. */
    public void createShared() throws InterruptedException {
        create(shared());
    }

    /** Makes some of the topics that do not belong to one agent. */
    void createShared(Set<String> names) throws InterruptedException {
        create(shared().stream().filter(topic -> names.contains(topic.name())).toList());
    }

    /** The topics that do not belong to one agent. */
    List<NewTopic> shared() {
        List<NewTopic> wanted = new ArrayList<>();
        for (Priority priority : Priority.values()) {
            // A task may wait for ever, so time never deletes it. The broker's clock stamps it: aging must not trust
            // producers.
            wanted.add(topic(topics.tasks(priority), settings.partitions())
                    .configs(configs(Map.of(
                            TopicConfig.RETENTION_MS_CONFIG, "-1",
                            TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG, "LogAppendTime"))));
        }
        // Nor must agents' clocks count: Kafka would refuse a result from the future, and delete one from the past.
        wanted.add(topic(topics.results(), settings.partitions())
                .configs(configs(Map.of(TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG, "LogAppendTime"))));
        wanted.add(topic(topics.heartbeats(), settings.partitions())
                .configs(configs(Map.of(
                        TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG,
                        "LogAppendTime",
                        TopicConfig.CLEANUP_POLICY_CONFIG,
                        "compact,delete",
                        TopicConfig.RETENTION_MS_CONFIG,
                        ms(Duration.ofDays(1))))));
        wanted.add(topic(topics.deadLetter(), 1)
                .configs(configs(Map.of(TopicConfig.RETENTION_MS_CONFIG, ms(Duration.ofDays(90))))));
        wanted.add(topic(topics.control(), 1)
                .configs(configs(Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.CLEANUP_POLICY_COMPACT))));
        return wanted;
    }

    /**
     * Makes the topics of agents; what several callers want at the same time is asked of Kafka in one call.
     *
     * @throws InvalidTopicException if Kafka does not accept a name, such as one that differs from another only in "." and "_"
     */
    public void createForAgents(Collection<String> agentIds) throws InterruptedException {
        Map<String, CompletableFuture<Void>> mine = new HashMap<>();
        for (String id : agentIds) {
            mine.put(id, wanted.computeIfAbsent(id, wantedFirst -> new CompletableFuture<>()));
        }
        CompletableFuture<Void> all = CompletableFuture.allOf(mine.values().toArray(CompletableFuture[]::new));
        creating.lockInterruptibly();
        try {
            if (!all.isDone()) {
                createWanted();
            }
        } finally {
            creating.unlock();
        }
        try {
            all.join();
        } catch (CompletionException e) {
            throw failure(e);
        }
    }

    private void createWanted() throws InterruptedException {
        Map<String, CompletableFuture<Void>> now = Map.copyOf(wanted);
        Map<String, KafkaFuture<Void>> created = admin.createTopics(
                        now.keySet().stream().map(this::topicOfAgent).toList())
                .values();
        for (Map.Entry<String, CompletableFuture<Void>> one : now.entrySet()) {
            try {
                await(created.get(topics.assignments(one.getKey())));
                one.getValue().complete(null);
            } catch (RuntimeException e) {
                one.getValue().completeExceptionally(e);
            } finally {
                // Whoever waits for it has to hear of an interrupt too.
                one.getValue().completeExceptionally(new KafkaException("interrupted while topics were made"));
                wanted.remove(one.getKey());
            }
        }
    }

    private NewTopic topicOfAgent(String agentId) {
        return topic(topics.assignments(agentId), 1)
                .configs(configs(Map.of(
                        TopicConfig.RETENTION_MS_CONFIG,
                        ms(settings.assignmentRetention()),
                        TopicConfig.SEGMENT_INDEX_BYTES_CONFIG,
                        String.valueOf(AGENT_TOPIC_INDEX_BYTES))));
    }

    /**
     * Returns once the topic of an agent, which exists, can be written to. Brokers tell of a topic before they have made its log. A
     * producer whose first batch comes too early and whose second does not is out of order with the broker from then on.
     */
    public void awaitOfAgent(String agentId) throws InterruptedException {
        try {
            admin.listOffsets(Map.of(new TopicPartition(topics.assignments(agentId), 0), OffsetSpec.latest()))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            throw failure(e);
        }
    }

    /** Removes the topic of an agent, if it is there. */
    public void removeOfAgent(String agentId) throws InterruptedException {
        try {
            admin.deleteTopics(List.of(topics.assignments(agentId))).all().get();
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                throw failure(e);
            }
        }
    }

    private NewTopic topic(String name, int partitions) {
        Optional<Short> replication =
                settings.replication() == 0 ? Optional.empty() : Optional.of(settings.replication());
        return new NewTopic(name, Optional.of(partitions), replication);
    }

    /** Room for the largest task and what is added to it on its way. */
    private static Map<String, String> configs(Map<String, String> own) {
        Map<String, String> configs = new HashMap<>(own);
        configs.put(TopicConfig.MAX_MESSAGE_BYTES_CONFIG, String.valueOf(MAX_MESSAGE_BYTES));
        return configs;
    }

    private void create(Collection<NewTopic> newTopics) throws InterruptedException {
        for (KafkaFuture<Void> created : admin.createTopics(newTopics).values().values()) {
            await(created);
        }
    }

    /** Returns once a topic is there, made now or before. */
    private static void await(KafkaFuture<Void> created) throws InterruptedException {
        try {
            created.get();
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof TopicExistsException)) {
                throw failure(e);
            }
        }
    }

    private static RuntimeException failure(Exception e) {
        return e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e.getCause());
    }

    private static String ms(Duration duration) {
        return String.valueOf(duration.toMillis());
    }
}

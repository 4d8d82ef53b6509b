package io.aitbc.coordinator.kafka;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.internals.Topic;
import org.jspecify.annotations.Nullable;

/** Creates missing topics; does not rely on broker auto-creation. Thread-safe. */
public final class TopicCatalog {
    /** Maximum record size of every topic: twice the default limit of a task. */
    public static final int MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

    /** Maximum record size of events, which have a task or a result in them. */
    public static final int MAX_EVENT_BYTES = MAX_MESSAGE_BYTES + 64 * 1024;

    /**
     * Preallocated size of each of the two indexes of a topic's active segment, instead of 10 MiB: enough for 350 MB of records. There is
     * a topic per agent, and Linux's read-ahead keeps part of each index in the page cache.
     */
    public static final int AGENT_TOPIC_INDEX_BYTES = 1024 * 1024;

    private static final Duration EVENT_RETENTION = Duration.ofDays(7);

    private static final String UNLIMITED = "-1";

    /** What decides when Kafka deletes records. */
    private static final List<String> DELETION_CONFIGS = List.of(
            TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.RETENTION_MS_CONFIG, TopicConfig.RETENTION_BYTES_CONFIG);

    private static final List<String> INTERNAL_TOPICS =
            List.of(Topic.GROUP_METADATA_TOPIC_NAME, Topic.TRANSACTION_STATE_TOPIC_NAME);

    private final Admin admin;
    private final Topics topics;
    private final TopicSettings settings;
    private final boolean events;
    /** Agents whose topics are to be created, or are being created, with a future for their callers. */
    private final Map<String, CompletableFuture<Void>> pendingTopics = new ConcurrentHashMap<>();

    private final ReentrantLock creating = new ReentrantLock();

    /** @param events whether there is a topic of events */
    public TopicCatalog(Admin admin, Topics topics, TopicSettings settings, boolean events) {
        this.admin = admin;
        this.topics = topics;
        this.settings = settings;
        this.events = events;
    }

    /** Creates all shared topics. */
    public void createShared() throws InterruptedException {
        create(shared());
    }

    /** Creates the named shared topics. */
    void createShared(Set<String> names) throws InterruptedException {
        create(shared().stream().filter(topic -> names.contains(topic.name())).toList());
    }

    /**
     * Settings of Kafka with which acknowledged records can be lost, see {@link TopicDurability#problems}: of the shared topics, and of the
     * topics in which Kafka keeps offsets and transactions, as far as the coordinator may describe these. A single broker has no choice of
     * replicas.
     */
    public List<String> durabilityProblems() throws InterruptedException {
        // Also those that are down: they come back without what only they had.
        DescribeClusterOptions withFenced = new DescribeClusterOptions().includeFencedBrokers(true);
        int brokers = get(admin.describeCluster(withFenced).nodes()).size();
        Map<String, NewTopic> wanted = shared().stream().collect(Collectors.toMap(NewTopic::name, topic -> topic));
        List<String> names = new ArrayList<>(wanted.keySet());
        if (brokers > 1) {
            names.addAll(INTERNAL_TOPICS);
        }
        Map<String, KafkaFuture<TopicDescription>> descriptions =
                admin.describeTopics(names).topicNameValues();
        Map<ConfigResource, KafkaFuture<Config>> configs = admin.describeConfigs(
                        names.stream().map(TopicCatalog::resource).toList())
                .values();
        List<TopicDurability> found = new ArrayList<>();
        for (String name : names) {
            try {
                TopicDescription description = get(Objects.requireNonNull(descriptions.get(name)));
                int replicas = description.partitions().stream()
                        .mapToInt(partition -> partition.replicas().size())
                        .min()
                        .orElse(0);
                Config config = get(Objects.requireNonNull(configs.get(resource(name))));
                found.add(new TopicDurability(
                        name,
                        replicas,
                        Integer.parseInt(value(config, TopicConfig.MIN_IN_SYNC_REPLICAS_CONFIG, "1")),
                        Boolean.parseBoolean(value(config, TopicConfig.UNCLEAN_LEADER_ELECTION_ENABLE_CONFIG, "false")),
                        deviations(wanted.get(name), description, config)));
            } catch (UnknownTopicOrPartitionException e) {
                // Kafka creates its own when they are first used.
            } catch (AuthorizationException e) {
                if (!INTERNAL_TOPICS.contains(name)) {
                    throw new AuthorizationException("not authorized to read them (DescribeConfigs)", e);
                }
            }
        }
        return TopicDurability.problems(brokers, found);
    }

    private List<String> deviations(@Nullable NewTopic wanted, TopicDescription description, Config config) {
        if (wanted == null) {
            return List.of();
        }
        List<String> deviations = new ArrayList<>();
        for (String name : DELETION_CONFIGS) {
            String right = wanted.configs().get(name);
            String actual = value(config, name, "");
            // Other limits of age and size are for operators to choose.
            boolean required = name.equals(TopicConfig.CLEANUP_POLICY_CONFIG) || UNLIMITED.equals(right);
            if (right != null && required && !isPart(actual, right)) {
                deviations.add(name + "=" + actual + ": Kafka can delete records that are still needed (required: "
                        + right + ", see kafka-configs.sh --alter)");
            }
        }
        int partitions = description.partitions().size();
        if (partitions > 1 && List.of(topics.deadLetter(), topics.audit()).contains(wanted.name())) {
            deviations.add(partitions + " partitions: only the records of the first are found (required: 1)");
        }
        return deviations;
    }

    /** Whether one list has nothing that the other one lacks. */
    private static boolean isPart(String list, String whole) {
        return Arrays.asList(whole.split(",")).containsAll(Arrays.asList(list.split(",")));
    }

    private static ConfigResource resource(String topic) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic);
    }

    private static String value(Config config, String name, String otherwise) {
        ConfigEntry entry = config.get(name);
        return entry == null || entry.value() == null ? otherwise : entry.value();
    }

    private static <T> T get(KafkaFuture<T> future) throws InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw failure(e);
        }
    }

    /** Topics whose records have an order that all coordinators follow. */
    List<String> singlePartition() {
        return List.of(topics.control(), topics.keys(), topics.ledger());
    }

    /** The shared topics: all that do not belong to one agent. */
    List<NewTopic> shared() {
        List<NewTopic> wanted = new ArrayList<>();
        for (Priority priority : Priority.values()) {
            // A task may wait indefinitely, however many there are, so retention is off, whatever the broker's default.
            // The broker's clock stamps records: aging must not trust producers.
            wanted.add(topic(topics.tasks(priority), settings.partitions())
                    .configs(configs(Map.of(
                            TopicConfig.RETENTION_MS_CONFIG, UNLIMITED,
                            TopicConfig.RETENTION_BYTES_CONFIG, UNLIMITED,
                            TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG, "LogAppendTime"))));
        }
        // Nor are agents' clocks trusted: Kafka would reject a result from the future, and delete one from the past.
        wanted.add(topic(topics.results(), settings.partitions())
                .configs(configs(Map.of(TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG, "LogAppendTime"))));
        wanted.add(topic(topics.sharedAssignments(), settings.partitions())
                .configs(configs(Map.of(TopicConfig.RETENTION_MS_CONFIG, ms(settings.assignmentRetention())))));
        wanted.add(topic(topics.heartbeats(), settings.partitions())
                .configs(configs(Map.of(
                        TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG,
                        "LogAppendTime",
                        TopicConfig.CLEANUP_POLICY_CONFIG,
                        "compact,delete",
                        TopicConfig.RETENTION_MS_CONFIG,
                        ms(Duration.ofDays(1))))));
        for (String topic : List.of(topics.deadLetter(), topics.audit())) {
            wanted.add(
                    topic(topic, 1).configs(configs(Map.of(TopicConfig.RETENTION_MS_CONFIG, ms(Duration.ofDays(90))))));
        }
        for (String topic : List.of(topics.control(), topics.keys())) {
            wanted.add(topic(topic, 1)
                    .configs(configs(Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.CLEANUP_POLICY_COMPACT))));
        }
        if (events) {
            wanted.add(topic(topics.events(), settings.partitions())
                    .configs(configs(Map.of(
                            TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG,
                            "LogAppendTime",
                            TopicConfig.RETENTION_MS_CONFIG,
                            ms(EVENT_RETENTION),
                            TopicConfig.MAX_MESSAGE_BYTES_CONFIG,
                            String.valueOf(MAX_EVENT_BYTES)))));
        }
        // Each coordinator reads all of it at the start, and it is written every few seconds: compact it soon.
        wanted.add(topic(topics.ledger(), 1)
                .configs(configs(Map.of(
                        TopicConfig.CLEANUP_POLICY_CONFIG,
                        TopicConfig.CLEANUP_POLICY_COMPACT,
                        TopicConfig.SEGMENT_MS_CONFIG,
                        ms(Duration.ofMinutes(10)),
                        TopicConfig.MIN_CLEANABLE_DIRTY_RATIO_CONFIG,
                        "0.1"))));
        return wanted;
    }

    /**
     * Creates agent topics. Concurrent requests are batched into one call to Kafka.
     *
     * @throws InvalidTopicException if Kafka rejects a name, such as one that differs from another only in "." and "_"
     */
    public void createAgentTopics(Collection<String> agentIds) throws InterruptedException {
        Map<String, CompletableFuture<Void>> requested = new HashMap<>();
        for (String id : agentIds) {
            requested.put(id, pendingTopics.computeIfAbsent(id, absent -> new CompletableFuture<>()));
        }
        CompletableFuture<Void> all = CompletableFuture.allOf(requested.values().toArray(CompletableFuture[]::new));
        creating.lockInterruptibly();
        try {
            if (!all.isDone()) {
                createPending();
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

    private void createPending() throws InterruptedException {
        Map<String, CompletableFuture<Void>> now = Map.copyOf(pendingTopics);
        Map<String, KafkaFuture<Void>> created = admin.createTopics(
                        now.keySet().stream().map(this::agentTopic).toList())
                .values();
        for (Map.Entry<String, CompletableFuture<Void>> one : now.entrySet()) {
            try {
                await(Objects.requireNonNull(created.get(topics.assignments(one.getKey()))));
                one.getValue().complete(null);
            } catch (RuntimeException e) {
                one.getValue().completeExceptionally(e);
            } finally {
                // Other callers waiting for this topic must see the interrupt too.
                one.getValue().completeExceptionally(new KafkaException("interrupted while topics were created"));
                pendingTopics.remove(one.getKey());
            }
        }
    }

    private NewTopic agentTopic(String agentId) {
        return topic(topics.assignments(agentId), 1)
                .configs(configs(Map.of(
                        TopicConfig.RETENTION_MS_CONFIG,
                        ms(settings.assignmentRetention()),
                        TopicConfig.SEGMENT_INDEX_BYTES_CONFIG,
                        String.valueOf(AGENT_TOPIC_INDEX_BYTES))));
    }

    /**
     * Returns once an existing agent topic can be written to. Brokers announce a topic before they have created its log. If a producer's
     * first batch arrives too early and its second does not, its sequence numbers are out of order from then on.
     */
    public void awaitAgentTopic(String agentId) throws InterruptedException {
        try {
            admin.listOffsets(Map.of(new TopicPartition(topics.assignments(agentId), 0), OffsetSpec.latest()))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            throw failure(e);
        }
    }

    /** Deletes the topic of an agent, if it exists. */
    public void deleteAgentTopic(String agentId) throws InterruptedException {
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

    /** Allows for the largest task plus the fields added to it on its way, and nothing is compacted, unless the topic says otherwise. */
    private static Map<String, String> configs(Map<String, String> own) {
        Map<String, String> configs = new HashMap<>(Map.of(
                TopicConfig.MAX_MESSAGE_BYTES_CONFIG,
                String.valueOf(MAX_MESSAGE_BYTES),
                TopicConfig.CLEANUP_POLICY_CONFIG,
                TopicConfig.CLEANUP_POLICY_DELETE));
        configs.putAll(own);
        return configs;
    }

    private void create(Collection<NewTopic> newTopics) throws InterruptedException {
        for (Map.Entry<String, KafkaFuture<Void>> created :
                admin.createTopics(newTopics).values().entrySet()) {
            try {
                await(created.getValue());
            } catch (TopicAuthorizationException e) {
                // Kafka says only that authorization failed.
                throw new TopicAuthorizationException("not authorized to create topic " + created.getKey());
            }
        }
    }

    /** Returns once the topic exists, whether created now or earlier. */
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

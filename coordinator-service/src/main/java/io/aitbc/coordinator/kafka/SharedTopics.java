package io.aitbc.coordinator.kafka;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Monitors the topics that are shared by all agents, and re-creates deleted ones. The thread {@code topics} polls once a second. Readers
 * ask for a topic's id and open a new consumer when it changes: a re-created topic starts at offset 0, and offsets of its predecessor are
 * invalid.
 */
public final class SharedTopics implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(SharedTopics.class);
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    private static final long WAIT_SECONDS = 10;
    /** Time for a new topic to propagate to all brokers. */
    private static final Duration PROPAGATION_TIMEOUT = Duration.ofSeconds(5);

    private static final long PROPAGATION_POLL_MS = 50;

    private final Admin admin;
    private final TopicCatalog catalog;
    private final Set<String> names;
    private final PeriodicJob poller = new PeriodicJob("topics", INTERVAL, this::poll);
    /** Topics that existed at the last poll. */
    private volatile Map<String, Uuid> ids = Map.of();

    private volatile Map<String, Integer> partitions = Map.of();
    private volatile Set<TopicPartition> leaderless = Set.of();

    /** Topics seen earlier; used only by the thread. */
    private final Map<String, Uuid> lastKnown = new HashMap<>();

    private Set<String> missingBefore = Set.of();
    private final ConsecutiveFailures notCreated = new ConsecutiveFailures(log);

    public SharedTopics(Admin admin, TopicCatalog catalog) {
        this.admin = admin;
        this.catalog = catalog;
        this.names = catalog.shared().stream().map(NewTopic::name).collect(Collectors.toUnmodifiableSet());
    }

    /**
     * Creates missing topics; returns once all exist.
     *
     * @throws IllegalStateException if one that is read as a single partition from its beginning has more
     */
    public void create() throws InterruptedException {
        catalog.createShared();
        long until = System.nanoTime() + PROPAGATION_TIMEOUT.toNanos();
        Map<String, TopicDescription> existing = describe();
        while (!existing.keySet().containsAll(names)) {
            if (System.nanoTime() - until >= 0) {
                throw new TimeoutException("topics were created, but are not visible yet");
            }
            TimeUnit.MILLISECONDS.sleep(PROPAGATION_POLL_MS);
            existing = describe();
        }
        for (String name : catalog.singlePartition()) {
            int count = Objects.requireNonNull(existing.get(name)).partitions().size();
            if (count > 1) {
                throw new IllegalStateException("topic " + name + " has " + count
                        + " partitions and must have 1: if it has no records yet, delete it, and it is created again");
            }
        }
        update(existing);
    }

    @Override
    public void start() {
        lastKnown.putAll(ids);
        poller.start();
    }

    @Override
    public void close() {
        poller.close();
    }

    @Override
    public List<Problem> problems() {
        return poller.problems();
    }

    /** The id of a topic; null while it is missing. */
    public @Nullable Uuid id(String name) {
        return ids.get(name);
    }

    /** The ids of the given topics, without missing ones. */
    public Map<String, Uuid> ids(List<String> some) {
        Map<String, Uuid> existing = new HashMap<>(ids);
        existing.keySet().retainAll(some);
        return existing;
    }

    /** The total number of partitions of the given topics. */
    public int partitions(List<String> some) {
        Map<String, Integer> now = partitions;
        return some.stream().mapToInt(topic -> now.getOrDefault(topic, 0)).sum();
    }

    /** Topics that were missing at the last poll. */
    public Set<String> missing() {
        Set<String> missing = new TreeSet<>(names);
        missing.removeAll(ids.keySet());
        return missing;
    }

    /** Partitions that had no leader at the last poll: no replica is available, so they can be neither written nor read. */
    public Set<TopicPartition> leaderless() {
        return leaderless;
    }

    private void poll() throws InterruptedException {
        update(describe());
        logChanges(ids);
        Set<String> missing = missing();
        // Wait for a second poll: by then every coordinator has noticed, and has stopped committing for the old topic.
        Set<String> due = new HashSet<>(missing);
        due.retainAll(missingBefore);
        missingBefore = missing;
        if (!due.isEmpty()) {
            recreate(due);
        }
    }

    private void recreate(Set<String> due) throws InterruptedException {
        try {
            catalog.createShared(due);
            notCreated.reset();
        } catch (KafkaException e) {
            notCreated
                    .onFailure()
                    .addKeyValue("topics", due)
                    .log("Could not re-create deleted topics: {}", e.toString());
        }
    }

    private void logChanges(Map<String, Uuid> now) {
        for (String name : names) {
            Uuid before = lastKnown.get(name);
            Uuid id = now.get(name);
            if (id != null && !Objects.equals(before, id)) {
                lastKnown.put(name, id);
                log.atError()
                        .addKeyValue("topic", name)
                        .addKeyValue("id", id)
                        .addKeyValue("before", before)
                        .log("A topic was deleted and re-created: its unprocessed records are lost");
            }
        }
    }

    private Map<String, TopicDescription> describe() throws InterruptedException {
        Map<String, TopicDescription> existing = new HashMap<>();
        for (Map.Entry<String, KafkaFuture<TopicDescription>> topic :
                admin.describeTopics(names).topicNameValues().entrySet()) {
            try {
                existing.put(topic.getKey(), topic.getValue().get(WAIT_SECONDS, TimeUnit.SECONDS));
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw new KafkaException(KafkaClients.reason(e), e.getCause());
                }
            } catch (java.util.concurrent.TimeoutException e) {
                throw new TimeoutException("Kafka did not answer within " + WAIT_SECONDS + " s");
            }
        }
        return existing;
    }

    private void update(Map<String, TopicDescription> existing) {
        ids = existing.values().stream()
                .collect(Collectors.toUnmodifiableMap(TopicDescription::name, TopicDescription::topicId));
        partitions = existing.values().stream()
                .collect(Collectors.toUnmodifiableMap(
                        TopicDescription::name, topic -> topic.partitions().size()));
        leaderless = leaderless(existing.values());
    }

    static Set<TopicPartition> leaderless(Collection<TopicDescription> topics) {
        return topics.stream()
                .flatMap(topic -> topic.partitions().stream()
                        .filter(partition -> partition.leader() == null)
                        .map(partition -> new TopicPartition(topic.name(), partition.partition())))
                .collect(Collectors.toUnmodifiableSet());
    }
}

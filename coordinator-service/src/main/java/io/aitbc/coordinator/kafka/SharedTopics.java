package io.aitbc.coordinator.kafka;

import io.aitbc.coordinator.background.FailuresInARow;
import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.Recurring;
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
public final class SharedTopics implements Part {
    private static final Logger log = LoggerFactory.getLogger(SharedTopics.class);
    private static final Duration EVERY = Duration.ofSeconds(1);
    private static final long WAIT_SECONDS = 10;
    /** Time for a new topic to propagate to all brokers. */
    private static final Duration KNOWN_WITHIN = Duration.ofSeconds(5);

    private static final long BETWEEN_QUESTIONS_MS = 50;

    private final Admin admin;
    private final TopicCatalog catalog;
    private final Set<String> names;
    private final Recurring looking = new Recurring("topics", EVERY, this::look, () -> {});
    /** Topics that existed at the last poll. */
    private volatile Map<String, Uuid> ids = Map.of();

    private volatile Map<String, Integer> partitions = Map.of();
    private volatile Set<TopicPartition> leaderless = Set.of();

    /** Topics seen earlier; used only by the thread. */
    private final Map<String, Uuid> lastKnown = new HashMap<>();

    private Set<String> missingBefore = Set.of();
    private final FailuresInARow notCreated = new FailuresInARow(log);

    SharedTopics(Admin admin, TopicCatalog catalog) {
        this.admin = admin;
        this.catalog = catalog;
        this.names = catalog.shared().stream().map(NewTopic::name).collect(Collectors.toUnmodifiableSet());
    }

    /** Creates missing topics; returns once all exist. */
    public void create() throws InterruptedException {
        catalog.createShared();
        long until = System.nanoTime() + KNOWN_WITHIN.toNanos();
        Map<String, TopicDescription> there = describe();
        while (!there.keySet().containsAll(names)) {
            if (System.nanoTime() - until >= 0) {
                throw new TimeoutException("topics were created, but are not visible yet");
            }
            TimeUnit.MILLISECONDS.sleep(BETWEEN_QUESTIONS_MS);
            there = describe();
        }
        note(there);
    }

    @Override
    public void start() {
        lastKnown.putAll(ids);
        looking.start();
    }

    @Override
    public void close() {
        looking.close();
    }

    @Override
    public List<String> troubles() {
        return looking.troubles();
    }

    /** The id of a topic; null while it is missing. */
    public @Nullable Uuid id(String name) {
        return ids.get(name);
    }

    /** The ids of the given topics, without missing ones. */
    public Map<String, Uuid> ids(List<String> some) {
        Map<String, Uuid> there = new HashMap<>(ids);
        there.keySet().retainAll(some);
        return there;
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

    private void look() throws InterruptedException {
        note(describe());
        sayWhatIsNew(ids);
        Set<String> missing = missing();
        // Wait for a second poll: by then every coordinator has noticed, and has stopped committing for the old topic.
        Set<String> due = new HashSet<>(missing);
        due.retainAll(missingBefore);
        missingBefore = missing;
        if (!due.isEmpty()) {
            createAgain(due);
        }
    }

    private void createAgain(Set<String> due) throws InterruptedException {
        try {
            catalog.createShared(due);
            notCreated.end();
        } catch (KafkaException e) {
            notCreated.next().addKeyValue("topics", due).log("Deleted topics cannot be re-created: {}", e.toString());
        }
    }

    private void sayWhatIsNew(Map<String, Uuid> now) {
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
        Map<String, TopicDescription> there = new HashMap<>();
        for (Map.Entry<String, KafkaFuture<TopicDescription>> topic :
                admin.describeTopics(names).topicNameValues().entrySet()) {
            try {
                there.put(topic.getKey(), topic.getValue().get(WAIT_SECONDS, TimeUnit.SECONDS));
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw new KafkaException(e.getCause().getMessage(), e.getCause());
                }
            } catch (java.util.concurrent.TimeoutException e) {
                throw new TimeoutException("no answer in " + WAIT_SECONDS + " s");
            }
        }
        return there;
    }

    private void note(Map<String, TopicDescription> there) {
        ids = there.values().stream()
                .collect(Collectors.toUnmodifiableMap(TopicDescription::name, TopicDescription::topicId));
        partitions = there.values().stream()
                .collect(Collectors.toUnmodifiableMap(
                        TopicDescription::name, topic -> topic.partitions().size()));
        leaderless = leaderless(there.values());
    }

    static Set<TopicPartition> leaderless(Collection<TopicDescription> topics) {
        return topics.stream()
                .flatMap(topic -> topic.partitions().stream()
                        .filter(partition -> partition.leader() == null)
                        .map(partition -> new TopicPartition(topic.name(), partition.partition())))
                .collect(Collectors.toUnmodifiableSet());
    }
}

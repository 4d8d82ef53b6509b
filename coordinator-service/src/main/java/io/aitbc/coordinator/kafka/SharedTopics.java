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
 * Watches the topics that do not belong to one agent, and creates again those that somebody deletes. The thread {@code topics} looks
 * once a second. Whoever reads a topic asks for its id, and opens a new consumer when that is another: a topic that was created again
 * begins at offset 0, and what was known of the one before does not count.
 */
public final class SharedTopics implements Part {
    private static final Logger log = LoggerFactory.getLogger(SharedTopics.class);
    private static final Duration EVERY = Duration.ofSeconds(1);
    private static final long WAIT_SECONDS = 10;
    /** Brokers may learn of a topic a little later than it is created. */
    private static final Duration KNOWN_WITHIN = Duration.ofSeconds(5);

    private static final long BETWEEN_QUESTIONS_MS = 50;

    private final Admin admin;
    private final TopicCatalog catalog;
    private final Set<String> names;
    private final Recurring looking = new Recurring("topics", EVERY, this::look, () -> {});
    /** Those that were there at the last look. */
    private volatile Map<String, Uuid> ids = Map.of();

    private volatile Map<String, Integer> partitions = Map.of();
    private volatile Set<TopicPartition> leaderless = Set.of();

    /** Those that were there before; used by the thread only. */
    private final Map<String, Uuid> lastKnown = new HashMap<>();

    private Set<String> missingBefore = Set.of();
    private final FailuresInARow notCreated = new FailuresInARow(log);

    SharedTopics(Admin admin, TopicCatalog catalog) {
        this.admin = admin;
        this.catalog = catalog;
        this.names = catalog.shared().stream().map(NewTopic::name).collect(Collectors.toUnmodifiableSet());
    }

    /** Creates those that are missing; returns once all are there. */
    public void create() throws InterruptedException {
        catalog.createShared();
        long until = System.nanoTime() + KNOWN_WITHIN.toNanos();
        Map<String, TopicDescription> there = describe();
        while (!there.keySet().containsAll(names)) {
            if (System.nanoTime() - until >= 0) {
                throw new TimeoutException("topics were created, but are not there");
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

    /** The ids of some topics, but for those that are missing. */
    public Map<String, Uuid> ids(List<String> some) {
        Map<String, Uuid> there = new HashMap<>(ids);
        there.keySet().retainAll(some);
        return there;
    }

    /** How many partitions some topics have together. */
    public int partitions(List<String> some) {
        Map<String, Integer> now = partitions;
        return some.stream().mapToInt(topic -> now.getOrDefault(topic, 0)).sum();
    }

    /** Those that were missing at the last look. */
    public Set<String> missing() {
        Set<String> missing = new TreeSet<>(names);
        missing.removeAll(ids.keySet());
        return missing;
    }

    /** Partitions that had no leader at the last look: all replicas are away, and nothing can be written or read. */
    public Set<TopicPartition> leaderless() {
        return leaderless;
    }

    private void look() throws InterruptedException {
        note(describe());
        sayWhatIsNew(ids);
        Set<String> missing = missing();
        // Not before the next look: by then every coordinator has noticed, and commits nothing for it any more.
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
            notCreated
                    .next()
                    .addKeyValue("topics", due)
                    .log("Deleted topics cannot be created again: {}", e.toString());
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
                        .log(
                                "A topic was deleted and has been created again: all that was in it and had not been dealt with is lost");
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

package io.aitbc.coordinator.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.kafka.TopicSettings;
import io.aitbc.localstack.LocalStack;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

class LedgerTopicTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final Duration HOUR = Duration.ofHours(1);
    private static final Topics TOPICS = new Topics("ledger-topic.");
    private static final Uuid TOPIC_ID = Uuid.randomUuid();
    /** More than three bitmaps. */
    private static final int OFFSETS = 200_000;

    private final Map<String, Object> servers =
            Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers());
    private final KafkaClients clients = new KafkaClients(
            new DefaultKafkaConsumerFactory<>(servers),
            new DefaultKafkaProducerFactory<>(servers),
            new CoordinatorId("test"),
            new SimpleMeterRegistry());
    private final TopicPartition partition = new TopicPartition("tasks.normal", (int) (System.nanoTime() & 0xFFFF));
    private Admin admin;
    private Producer<String, byte[]> producer;
    private SharedTopics shared;

    @BeforeEach
    void start() throws InterruptedException {
        admin = Admin.create(servers);
        producer = clients.producer("ledger-test", Duration.ZERO, HOUR, Map.of());
        shared = new SharedTopics(
                admin,
                new TopicCatalog(
                        admin, TOPICS, new TopicSettings(TOPICS.prefix(), 1, (short) 1, HOUR, HOUR, HOUR, HOUR), true));
        shared.create();
    }

    @AfterEach
    void end() {
        producer.close();
        admin.close();
    }

    private LedgerTopic ledger(String coordinatorId) throws InterruptedException {
        LedgerTopic ledger = new LedgerTopic(clients, shared, producer, TOPICS, coordinatorId, Clock.systemUTC());
        ledger.start();
        await().atMost(LONG).until(ledger::isLoaded);
        return ledger;
    }

    @Test
    void whatDoesNotFitIntoACommitIsKnownToTheNextOwner() throws Exception {
        OffsetLedger done = new OffsetLedger(70_000);
        Set<Long> finished = finishAtRandom(done, new TreeSet<>(), 1);
        try (LedgerTopic first = ledger("one")) {
            first.takeOver(partition, TOPIC_ID, null, OFFSETS);
            first.write(partition, commit(done), done.snapshot()).get();
        }

        LedgerTopic second = ledger("two");
        OffsetLedger inherited = second.takeOver(partition, TOPIC_ID, commit(done), OFFSETS);

        assertThat(inherited.lowestUnfinished()).isEqualTo(70_000);
        assertThat(done(inherited)).isEqualTo(finished);
        assertThat(second.done(partition, Uuid.randomUuid(), null))
                .as("of another topic of that name")
                .isNull();
        second.close();
    }

    /** Only bitmaps that changed are written, and those of the earlier owner are deleted once they are contained in these. */
    @Test
    void laterWritesReplaceEarlierOnes() throws Exception {
        OffsetLedger done = new OffsetLedger(0);
        Set<Long> finished = finishAtRandom(done, new TreeSet<>(), 2);
        LedgerTopic first = ledger("one");
        first.takeOver(partition, TOPIC_ID, null, OFFSETS);
        first.write(partition, commit(done), done.snapshot()).get();
        LedgerTopic second = ledger("two");
        OffsetLedger inherited = second.takeOver(partition, TOPIC_ID, null, OFFSETS);
        long unfinished = firstUnfinishedAbove(inherited, 150_000);
        inherited.finished(unfinished);
        finished.add(unfinished);
        second.write(partition, commit(inherited), inherited.snapshot()).get();
        // It has been paused, and does not know that it is no longer the owner.
        first.write(partition, commit(done), done.snapshot()).get();
        long next = firstUnfinishedAbove(inherited, 10);
        inherited.finished(next);
        finished.add(next);
        second.write(partition, commit(inherited), inherited.snapshot()).get();

        LedgerTopic third = ledger("three");
        assertThat(done(third.takeOver(partition, TOPIC_ID, null, OFFSETS))).isEqualTo(finished);

        for (long offset = 0; offset < OFFSETS; offset++) {
            inherited.finished(offset);
        }
        second.write(partition, commit(inherited), null).get();
        await().atMost(LONG)
                .untilAsserted(
                        () -> assertThat(third.done(partition, TOPIC_ID, null).lowestUnfinished())
                                .isEqualTo(OFFSETS));
        first.close();
        second.close();
        third.close();
    }

    /** What is done may fit into a commit, and then again not, faster than Kafka acknowledges. */
    @Test
    void aBitmapThatIsNeededAgainIsNotDeleted() throws Exception {
        OffsetLedger done = new OffsetLedger(0);
        Set<Long> finished = finishAtRandom(done, new TreeSet<>(), 3);
        LedgerTopic ledger = ledger("one");
        ledger.takeOver(partition, TOPIC_ID, null, OFFSETS);
        ledger.write(partition, commit(done), done.snapshot());
        ledger.write(partition, commit(done), null);
        ledger.write(partition, commit(done), done.snapshot());
        ledger.write(partition, commit(done), done.snapshot()).get();
        ledger.write(partition, commit(done), done.snapshot()).get();

        LedgerTopic second = ledger("two");
        assertThat(done(second.takeOver(partition, TOPIC_ID, null, OFFSETS))).isEqualTo(finished);
        ledger.close();
        second.close();
    }

    /** Which commits of the group count: those of this topic, and of other tools only where nothing else is known. */
    @Test
    void aCommitIsTrustedUnlessTheLedgerKnowsBetter() throws Exception {
        LedgerTopic ledger = ledger("one");
        OffsetAndMetadata ours = new OffsetAndMetadata(5, CommitTag.with(TOPIC_ID, ""));
        OffsetAndMetadata reset = new OffsetAndMetadata(9, "");
        assertThat(ledger.trusted(partition, TOPIC_ID, null, 9)).isNull();
        assertThat(ledger.trusted(partition, TOPIC_ID, ours, 5)).isEqualTo(ours);
        assertThat(ledger.trusted(partition, TOPIC_ID, ours, 4)).isNull();
        assertThat(ledger.trusted(partition, TOPIC_ID, reset, 9)).isEqualTo(reset);
        assertThat(ledger.trusted(partition, Uuid.randomUuid(), ours, 9)).isNull();
        assertThat(ledger.isReplaced(partition, TOPIC_ID, ours)).isFalse();
        assertThat(ledger.isReplaced(partition, Uuid.randomUuid(), ours)).isTrue();

        ledger.takeOver(partition, TOPIC_ID, null, 9);
        ledger.write(partition, ours, null).get();
        await().atMost(LONG).until(() -> ledger.done(partition, TOPIC_ID, null) != null);
        assertThat(ledger.trusted(partition, TOPIC_ID, reset, 9)).isNull();
        assertThat(ledger.trusted(partition, TOPIC_ID, ours, 9)).isEqualTo(ours);
        assertThat(ledger.isReplaced(partition, TOPIC_ID, null)).isFalse();
        assertThat(ledger.isReplaced(partition, Uuid.randomUuid(), null)).isTrue();
        assertThat(ledger.takeOver(partition, TOPIC_ID, null, 4))
                .as("beyond the end")
                .isNull();
        ledger.close();
    }

    private static Set<Long> finishAtRandom(OffsetLedger ledger, Set<Long> finished, int seed) {
        Random random = new Random(seed);
        for (long offset = ledger.lowestUnfinished(); offset < OFFSETS; offset++) {
            ledger.received(offset);
            if (offset > ledger.lowestUnfinished() && random.nextBoolean()) {
                ledger.finished(offset);
                finished.add(offset);
            }
        }
        return finished;
    }

    private static long firstUnfinishedAbove(OffsetLedger ledger, long offset) {
        long next = offset + 1;
        while (ledger.isDone(next)) {
            next++;
        }
        return next;
    }

    private static Set<Long> done(OffsetLedger ledger) {
        Set<Long> done = new TreeSet<>();
        for (long offset = ledger.lowestUnfinished(); offset < OFFSETS; offset++) {
            if (ledger.isDone(offset)) {
                done.add(offset);
            }
        }
        return done;
    }

    private static OffsetAndMetadata commit(OffsetLedger ledger) {
        return new OffsetAndMetadata(ledger.lowestUnfinished(), CommitTag.with(TOPIC_ID, ledger.metadata(4_000)));
    }
}

package io.aitbc.coordinator.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ConsumerLoopTest {
    private static final TopicPartition PARTITION = new TopicPartition("topic", 0);
    private static final TopicPartition OTHER = new TopicPartition("topic", 1);
    private static final Duration LONGEST = Duration.ofSeconds(60);

    private final List<MockConsumer<byte[], byte[]>> consumers = new CopyOnWriteArrayList<>();
    private final AtomicReference<Uuid> topicId = new AtomicReference<>(Uuid.randomUuid());
    private final Queue<Throwable> failuresToBegin = new ConcurrentLinkedQueue<>();
    private final Queue<Error> failuresToHandle = new ConcurrentLinkedQueue<>();
    private final AtomicInteger handled = new AtomicInteger();
    private final List<Long> offsets = new CopyOnWriteArrayList<>();
    /** When batches with records are done. */
    private volatile CompletableFuture<?> done = CompletableFuture.completedFuture(null);

    private final AtomicReference<String> endedOn = new AtomicReference<>();
    private final ConsumerLoop loop = new ConsumerLoop(
            "loop",
            new ConsumerLoop.Source(topicId::get, this::newConsumer, (consumer, gained) -> {
                Throwable failure = failuresToBegin.poll();
                if (failure instanceof RuntimeException e) {
                    throw e;
                } else if (failure instanceof Error e) {
                    throw e;
                }
                consumer.subscribe(List.of(PARTITION.topic()), gained);
            }),
            records -> {
                Error failure = failuresToHandle.poll();
                if (failure != null) {
                    throw failure;
                }
                records.forEach(record -> offsets.add(record.offset()));
                handled.incrementAndGet();
                return records.isEmpty() ? CompletableFuture.completedFuture(null) : done;
            },
            () -> endedOn.set(Thread.currentThread().getName()));

    private MockConsumer<byte[], byte[]> newConsumer() {
        MockConsumer<byte[], byte[]> consumer = new MockConsumer<>("earliest");
        consumer.updateBeginningOffsets(Map.of(PARTITION, 0L, OTHER, 0L));
        consumers.add(consumer);
        return consumer;
    }

    @AfterEach
    void end() {
        loop.close();
    }

    @Test
    void aConsumerThatFailsToStartIsClosedAndReplaced() {
        failuresToBegin.add(new KafkaException("away"));
        failuresToBegin.add(new NullPointerException("unexpected"));
        failuresToBegin.add(new NoClassDefFoundError("unexpected"));

        loop.start();

        awaitBatches(1);
        assertThat(consumers).hasSize(4);
        assertThat(consumers.subList(0, 3)).allMatch(MockConsumer::closed);
        assertThat(consumers.get(3).closed()).isFalse();
    }

    @Test
    void noFailureOfABatchEndsTheThread() {
        failuresToHandle.add(new StackOverflowError());
        failuresToHandle.add(new OutOfMemoryError());

        loop.start();

        awaitBatches(1);
        assertThat(loop.problems()).isEmpty();
        assertThat(consumers).hasSize(1);
    }

    @Test
    void aConsumerLivesAsLongAsItsTopic() {
        loop.start();
        awaitBatches(1);

        topicId.set(null);
        await().atMost(LONGEST).until(() -> consumers.get(0).closed());
        topicId.set(Uuid.randomUuid());

        await().atMost(LONGEST).until(() -> consumers.size() == 2);
        awaitBatches(handled.get() + 1);
        assertThat(consumers.get(1).closed()).isFalse();
    }

    @Test
    void commitsForThisTopicCount() {
        committed(CommitTag.with(topicId.get(), ""));
        assertThat(offsets).containsExactly(1L);
    }

    @Test
    void commitsWithoutATagCount() {
        committed("");
        assertThat(offsets).containsExactly(1L);
    }

    /** The commit belongs to a topic deleted since: records of the new topic below that offset would never be read. */
    @Test
    void commitsForAnotherTopicOfTheSameNameDoNotCount() {
        committed(CommitTag.with(Uuid.randomUuid(), ""));
        assertThat(offsets).containsExactly(0L, 1L);
    }

    private void committed(String metadata) {
        loop.start();
        await().atMost(LONGEST).until(() -> consumers.size() == 1);
        MockConsumer<byte[], byte[]> consumer = consumers.get(0);
        consumer.schedulePollTask(() -> {
            consumer.commitSync(Map.of(PARTITION, new OffsetAndMetadata(1, metadata)));
            consumer.rebalance(List.of(PARTITION));
            consumer.seek(PARTITION, 1);
        });
        await().atMost(LONGEST)
                .until(() -> consumer.assignment().contains(PARTITION)
                        && consumer.paused().isEmpty());
        consumer.schedulePollTask(() -> {
            for (int offset = 0; offset < 2; offset++) {
                consumer.addRecord(new ConsumerRecord<>(PARTITION.topic(), 0, offset, null, new byte[0]));
            }
        });
        // The batch is committed before the next one is handled.
        await().atMost(LONGEST).until(() -> offsets.contains(1L));
        awaitBatches(handled.get() + 1);
        assertThat(consumer.committed(Set.of(PARTITION)))
                .containsEntry(PARTITION, new OffsetAndMetadata(2, CommitTag.with(topicId.get(), "")));
    }

    @Test
    void aBatchIsCommittedOnceItIsDoneWhileTheNextIsHandled() {
        CompletableFuture<Void> first = new CompletableFuture<>();
        done = first;
        MockConsumer<byte[], byte[]> consumer = assigned();

        add(consumer, 0);
        await().atMost(LONGEST).until(() -> offsets.contains(0L));
        done = CompletableFuture.completedFuture(null);
        add(consumer, 1);
        await().atMost(LONGEST).until(() -> offsets.contains(1L));
        awaitBatches(handled.get() + 2);
        assertThat(consumer.committed(Set.of(PARTITION))).isEmpty();

        first.complete(null);
        await().atMost(LONGEST).until(() -> committedOffset(consumer) == 2);
        assertThat(offsets).containsExactly(0L, 1L);
    }

    @Test
    void aBatchThatFailsLaterIsHandledAgainWithThoseAfterIt() {
        CompletableFuture<Void> first = new CompletableFuture<>();
        done = first;
        MockConsumer<byte[], byte[]> consumer = assigned();

        add(consumer, 0);
        await().atMost(LONGEST).until(() -> offsets.contains(0L));
        done = CompletableFuture.completedFuture(null);
        add(consumer, 1);
        await().atMost(LONGEST).until(() -> offsets.contains(1L));
        first.completeExceptionally(new KafkaException("refused"));
        await().atMost(LONGEST).until(() -> consumer.position(PARTITION) == 0);
        // The mock has forgotten them.
        add(consumer, 0);
        add(consumer, 1);

        await().atMost(LONGEST).until(() -> committedOffset(consumer) == 2);
        assertThat(offsets).containsExactly(0L, 1L, 0L, 1L);
    }

    /** The next owner reads from the commit. */
    @Test
    void batchesOfARevokedPartitionAreCommittedOnlyIfTheyAreDone() {
        CompletableFuture<Void> first = new CompletableFuture<>();
        done = first;
        MockConsumer<byte[], byte[]> consumer = assigned();
        add(consumer, 0);
        await().atMost(LONGEST).until(() -> offsets.contains(0L));

        consumer.schedulePollTask(() -> consumer.rebalance(List.of(OTHER)));
        await().atMost(LONGEST).until(() -> consumer.assignment().contains(OTHER));
        first.complete(null);
        awaitBatches(handled.get() + 2);

        assertThat(consumer.committed(Set.of(PARTITION))).isEmpty();
        assertThat(loop.problems()).isEmpty();
    }

    private MockConsumer<byte[], byte[]> assigned() {
        loop.start();
        await().atMost(LONGEST).until(() -> consumers.size() == 1);
        MockConsumer<byte[], byte[]> consumer = consumers.get(0);
        consumer.schedulePollTask(() -> {
            consumer.rebalance(List.of(PARTITION));
            consumer.seek(PARTITION, 0);
        });
        await().atMost(LONGEST)
                .until(() -> consumer.assignment().contains(PARTITION)
                        && consumer.paused().isEmpty());
        return consumer;
    }

    private static void add(MockConsumer<byte[], byte[]> consumer, long offset) {
        consumer.schedulePollTask(
                () -> consumer.addRecord(new ConsumerRecord<>(PARTITION.topic(), 0, offset, null, new byte[0])));
    }

    private static long committedOffset(MockConsumer<byte[], byte[]> consumer) {
        OffsetAndMetadata committed = consumer.committed(Set.of(PARTITION)).get(PARTITION);
        return committed == null ? -1 : committed.offset();
    }

    /** Resources confined to the thread of the loop are closed on that thread. */
    @Test
    void theEndIsHandledOnTheThreadOfTheLoop() {
        loop.start();
        awaitBatches(1);

        loop.close();

        assertThat(endedOn).hasValue("loop");
        assertThat(consumers.get(0).closed()).isTrue();
    }

    private void awaitBatches(int count) {
        await().atMost(LONGEST).until(() -> handled.get() >= count);
    }
}

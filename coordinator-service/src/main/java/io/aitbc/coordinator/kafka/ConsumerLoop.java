package io.aitbc.coordinator.kafka;

import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that polls a topic until closed. A failed batch is retried after a pause,
 * indefinitely: the handler dead-letters poison records, so a failure here means that Kafka or Redis is unavailable. A consumer lives as
 * long as its topic. There is none while the topic is missing, and a new one once it is re-created.
 */
public final class ConsumerLoop implements AutoCloseable {
    /** Handles a batch, which may be empty, and commits nothing. Called again with the same records if it throws. */
    public interface Handler {
        void handle(ConsumerRecords<byte[], byte[]> records) throws InterruptedException;
    }

    /**
     * Handles a batch, which may be empty. Its offsets are committed once the future is complete; the next batches are handled meanwhile. All batches that
     * are not committed are handled again if one throws, or if a future fails or takes longer than 10 s with many others behind it.
     */
    public interface CommittedHandler {
        CompletableFuture<?> handle(ConsumerRecords<byte[], byte[]> records) throws InterruptedException;
    }

    /**
     * The source of records. All functions are called by the loop's thread.
     *
     * @param topicId id of the topic; null while it is missing
     * @param begin subscribes a new consumer, or assigns it partitions; a subscriber must register the listener, so that a commit for an
     *     earlier topic of the same name is not taken for a position in this one
     */
    public record Source(
            Supplier<@Nullable Uuid> topicId,
            Supplier<? extends Consumer<byte[], byte[]>> newConsumer,
            BiConsumer<Consumer<byte[], byte[]>, ConsumerRebalanceListener> begin) {}

    private static final Logger log = LoggerFactory.getLogger(ConsumerLoop.class);
    private static final Duration POLL = Duration.ofMillis(200);
    /** Between looks at the futures of batches, while no records arrive. */
    private static final Duration POLL_PENDING = Duration.ofMillis(10);
    /** That many batches may be handled and not committed. */
    private static final int MAX_PENDING = 16;

    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(3);
    private static final Duration COMMIT_TIMEOUT = Duration.ofSeconds(10);
    private static final Duration INITIAL_BACKOFF = Duration.ofMillis(100);
    private static final Duration MAX_BACKOFF = Duration.ofSeconds(2);

    private final String name;
    private final Source source;
    private final CommittedHandler handler;
    private final boolean commits;
    private final Runnable last;
    private final MonitoredThread thread;
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);
    /** Newly assigned partitions whose commits have not been checked yet; they stay paused until then. */
    private final Set<TopicPartition> gained = new HashSet<>();
    /** Batches that are handled and not committed, in order. */
    private final Deque<Batch> pending = new ArrayDeque<>();

    /** Whether records of a failed batch are about to be read again: a poll that returns none before is no success. */
    private boolean repeats;

    private Duration backoff = INITIAL_BACKOFF;

    /**
     * @param first the first offset of each partition with records
     * @param next what to commit
     * @param done when to commit
     */
    private record Batch(
            Map<TopicPartition, Long> first, Map<TopicPartition, OffsetAndMetadata> next, CompletableFuture<?> done) {}

    /** A loop that commits nothing. */
    public ConsumerLoop(String name, Source source, Handler handler) {
        this(
                name,
                source,
                records -> {
                    handler.handle(records);
                    return CompletableFuture.completedFuture(null);
                },
                false,
                () -> {});
    }

    /**
     * A loop that commits what is handled.
     *
     * @param last run by the loop's thread when it ends; closes resources that only that thread may use
     */
    public ConsumerLoop(String name, Source source, CommittedHandler handler, Runnable last) {
        this(name, source, handler, true, last);
    }

    private ConsumerLoop(String name, Source source, CommittedHandler handler, boolean commits, Runnable last) {
        this.name = name;
        this.source = source;
        this.handler = handler;
        this.commits = commits;
        this.last = last;
        this.thread = new MonitoredThread(name, this::run);
    }

    public void start() {
        thread.start();
    }

    @Override
    public void close() {
        thread.close();
    }

    /** Current problems of its thread, one sentence each. */
    public List<Problem> problems() {
        return thread.problems();
    }

    private void run() {
        try {
            while (!thread.isClosing()) {
                read();
            }
        } catch (InterruptException | InterruptedException e) {
            log.atDebug().addKeyValue("loop", name).log("Interrupted");
        } finally {
            last.run();
        }
    }

    /** Polls until the loop is closed, the topic is replaced, or the consumer is unusable. */
    private void read() throws InterruptedException {
        Uuid topicId = source.topicId.get();
        if (topicId == null) {
            thread.monitor().idle();
            thread.pause(POLL);
            return;
        }
        gained.clear();
        pending.clear();
        repeats = false;
        try (Consumer<byte[], byte[]> consumer = source.newConsumer.get()) {
            source.begin.accept(consumer, new RebalanceListener(consumer));
            while (!thread.isClosing() && topicId.equals(source.topicId.get())) {
                readOnce(consumer, topicId);
            }
        } catch (InterruptException e) {
            throw e;
        } catch (RuntimeException | Error e) {
            backOff(e, "Consumer failed, will open a new one");
        }
    }

    private void readOnce(Consumer<byte[], byte[]> consumer, Uuid topicId) throws InterruptedException {
        ConsumerRecords<byte[], byte[]> records = ConsumerRecords.empty();
        try {
            restorePositions(consumer, topicId);
            records = consumer.poll(pending.isEmpty() ? POLL : POLL_PENDING);
            boolean hadRecords = !records.isEmpty();
            CompletableFuture<?> done = handler.handle(records);
            // Also without records: the position moves past aborted records and transaction markers too.
            if (commits && !records.nextOffsets().isEmpty()) {
                pending.add(new Batch(first(records), after(records, topicId), done));
                records = ConsumerRecords.empty();
            }
            if (pending.size() > MAX_PENDING) {
                awaitDone(pending.element());
            }
            commit(consumer);
            if (hadRecords || !repeats) {
                repeats = false;
                backoff = INITIAL_BACKOFF;
                failures.reset();
                thread.monitor().succeeded();
            }
        } catch (InterruptException e) {
            throw e;
        } catch (RuntimeException | Error e) {
            rewind(consumer, records);
            backOff(e, "Batch failed, will retry");
        }
    }

    private static void awaitDone(Batch batch) throws InterruptedException {
        try {
            batch.done.get(COMMIT_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw new KafkaException(KafkaClients.reason(e), e.getCause());
        } catch (TimeoutException e) {
            throw new KafkaException("a batch is not done within " + COMMIT_TIMEOUT.toSeconds() + " s", e);
        }
    }

    /** Commits the batches that are done. */
    private void commit(Consumer<byte[], byte[]> consumer) throws InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        int count = 0;
        for (Batch batch : pending) {
            if (!batch.done.isDone()) {
                break;
            }
            awaitDone(batch);
            offsets.putAll(batch.next);
            count++;
        }
        offsets.keySet().retainAll(consumer.assignment());
        if (!offsets.isEmpty()) {
            try {
                consumer.commitSync(offsets, COMMIT_TIMEOUT);
            } catch (RebalanceInProgressException e) {
                // The next polls complete the rebalance, and the commit is repeated. That must not take long.
                if (pending.size() > MAX_PENDING) {
                    throw e;
                }
                log.atTrace().addKeyValue("loop", name).log("Not committed: {}", e.toString());
                return;
            }
        }
        for (int i = 0; i < count; i++) {
            pending.remove();
        }
    }

    private void backOff(Throwable failure, String next) throws InterruptedException {
        thread.monitor().failed(failure);
        failures.onFailure()
                .addKeyValue("loop", name)
                .addKeyValue("pause_ms", backoff.toMillis())
                .setCause(log.isDebugEnabled() ? failure : null)
                .log("{}: {}", next, failure.toString());
        thread.pause(backoff);
        backoff = backoff.multipliedBy(2).compareTo(MAX_BACKOFF) > 0 ? MAX_BACKOFF : backoff.multipliedBy(2);
    }

    private void restorePositions(Consumer<byte[], byte[]> consumer, Uuid topicId) {
        if (gained.isEmpty()) {
            return;
        }
        Map<TopicPartition, OffsetAndMetadata> commits = consumer.committed(Set.copyOf(gained), REQUEST_TIMEOUT);
        Set<TopicPartition> uncommitted = gained.stream()
                .filter(partition -> commits.get(partition) != null
                        && CommitTag.isForOtherTopic(
                                topicId, commits.get(partition).metadata()))
                .collect(Collectors.toSet());
        if (!uncommitted.isEmpty()) {
            consumer.seekToBeginning(uncommitted);
        }
        consumer.resume(gained);
        gained.clear();
    }

    private static Map<TopicPartition, OffsetAndMetadata> after(ConsumerRecords<byte[], byte[]> records, Uuid topicId) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        records.nextOffsets()
                .forEach((partition, next) ->
                        offsets.put(partition, new OffsetAndMetadata(next.offset(), CommitTag.with(topicId, ""))));
        return offsets;
    }

    private static Map<TopicPartition, Long> first(ConsumerRecords<byte[], byte[]> records) {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        for (TopicPartition partition : records.partitions()) {
            offsets.put(partition, records.records(partition).get(0).offset());
        }
        return offsets;
    }

    /** @param failed the records of a batch that is not among the pending ones */
    private void rewind(Consumer<byte[], byte[]> consumer, ConsumerRecords<byte[], byte[]> failed) {
        Map<TopicPartition, Long> offsets = first(failed);
        pending.forEach(
                batch -> batch.first.forEach((partition, offset) -> offsets.merge(partition, offset, Math::min)));
        pending.clear();
        offsets.keySet().retainAll(consumer.assignment());
        offsets.forEach(consumer::seek);
        repeats = !offsets.isEmpty();
    }

    private final class RebalanceListener implements ConsumerRebalanceListener {
        private final Consumer<byte[], byte[]> consumer;

        RebalanceListener(Consumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            // Commits are checked later: a request that fails in this callback would not be retried.
            consumer.pause(partitions);
            gained.addAll(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            gained.removeAll(partitions);
            // The records may be the next owner's.
            repeats = false;
            try {
                commit(consumer);
            } catch (InterruptedException e) {
                throw new InterruptException(e);
            } catch (KafkaException e) {
                log.atDebug().addKeyValue("loop", name).log("The next owner handles batches again: {}", e.toString());
            }
            // A commit or a rewind of these is up to the next owner.
            pending.forEach(batch -> {
                batch.first.keySet().removeAll(partitions);
                batch.next.keySet().removeAll(partitions);
            });
        }
    }
}

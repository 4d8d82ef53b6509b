package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskRecords;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;

/**
 * Reads records of waiting tasks again, each batch in the order of offsets. A thread of its own does so, since it waits for Kafka and parses
 * the tasks. Any thread may ask.
 */
public final class RecordFetcher implements BackgroundService {
    private static final Duration POLL = Duration.ofMillis(50);
    private static final long IDLE_POLL_MS = 1_000;
    private static final Duration BOUNDS_TIMEOUT = Duration.ofMillis(500);
    /** Then the partitions that are left are taken to have no leader. */
    private static final Duration MAX_SILENCE = Duration.ofMillis(500);

    private static final Duration SILENCE = Duration.ofSeconds(2);
    /** Then what has been read is the answer. */
    private static final Duration MAX_TIME = Duration.ofSeconds(3);
    /** As above, to bound the memory of an answer. */
    private static final long MAX_BYTES = 16 * 1024 * 1024;
    /** Reading past fewer records than these costs less than a new fetch. */
    private static final long MAX_SKIPPED = 512;

    private final KafkaClients clients;
    private final Topics topics;
    private final TaskRecords records;
    private final DeadLetters deadLetters;
    private final QueueSizes sizes;
    /** Partitions that have not answered, and until when they are left out; used by the thread only. */
    private final Map<TopicPartition, Long> silentUntil = new HashMap<>();

    private final Counter read;
    private final Counter fetched;
    private final MonitoredThread thread = new MonitoredThread("fetcher", this::run);
    private final BlockingQueue<Request> requests = new LinkedBlockingQueue<>();

    private record Request(List<Position> positions, CompletableFuture<Payloads.Fetched> answer) {}

    RecordFetcher(
            KafkaClients clients,
            Topics topics,
            TaskRecords records,
            DeadLetters deadLetters,
            QueueSizes sizes,
            MeterRegistry meters) {
        this.read = Counter.builder("coordinator.payloads.read")
                .description("Records read again in search of payloads, wanted or not")
                .register(meters);
        this.fetched = Counter.builder("coordinator.payloads.fetched")
                .description("Payloads of waiting tasks read again before their turn")
                .register(meters);
        this.clients = clients;
        this.topics = topics;
        this.records = records;
        this.deadLetters = deadLetters;
        this.sizes = sizes;
    }

    @Override
    public void start() {
        thread.start();
    }

    @Override
    public void close() {
        thread.close(() -> {});
    }

    @Override
    public List<Problem> problems() {
        return thread.problems();
    }

    /** @return fails if Kafka does not answer */
    CompletableFuture<Payloads.Fetched> fetch(List<Position> positions) {
        Request request = new Request(positions, new CompletableFuture<>());
        requests.add(request);
        return request.answer;
    }

    private void run() {
        KafkaConsumer<byte[], byte[]> consumer = null;
        try {
            while (!thread.isClosing()) {
                thread.monitor().idle();
                Request request = requests.poll(IDLE_POLL_MS, TimeUnit.MILLISECONDS);
                if (request == null) {
                    continue;
                }
                try {
                    consumer = consumer == null ? clients.fetchConsumer() : consumer;
                    request.answer.complete(new Fetch(request.positions).read(consumer));
                    thread.monitor().succeeded();
                } catch (InterruptException e) {
                    throw e;
                } catch (RuntimeException e) {
                    thread.monitor().failed(e);
                    request.answer.completeExceptionally(e);
                }
            }
        } catch (InterruptException | InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            if (consumer != null) {
                consumer.close();
            }
        }
    }

    /** For a while, nothing is asked of a partition that has not answered. */
    private void silent(TopicPartition partition) {
        silentUntil.put(partition, System.nanoTime() + SILENCE.toNanos());
    }

    /** One batch. */
    private final class Fetch {
        private final Map<TopicPartition, TreeSet<Long>> wanted = new HashMap<>();
        private final Map<Position, WaitingTask> tasks = new HashMap<>();
        private final Set<Position> gone = new HashSet<>();
        private final Set<Position> poison = new HashSet<>();
        private long bytes;

        Fetch(List<Position> positions) {
            for (Position position : positions) {
                wanted.computeIfAbsent(
                                new TopicPartition(topics.tasks(position.priority()), position.partition()),
                                partition -> new TreeSet<>())
                        .add(position.offset());
            }
        }

        Payloads.Fetched read(KafkaConsumer<byte[], byte[]> consumer) throws InterruptedException {
            dropWithoutBounds();
            try {
                consumer.assign(wanted.keySet());
                // A partition of the batch before may still be paused.
                consumer.resume(wanted.keySet());
                wanted.forEach((partition, offsets) -> consumer.seek(partition, offsets.first()));
                long until = System.nanoTime() + MAX_TIME.toNanos();
                long progressUntil = System.nanoTime() + MAX_SILENCE.toNanos();
                while (!wanted.isEmpty()
                        && bytes < MAX_BYTES
                        && System.nanoTime() - until < 0
                        && System.nanoTime() - progressUntil < 0) {
                    ConsumerRecords<byte[], byte[]> polled = consumer.poll(POLL);
                    if (!polled.nextOffsets().isEmpty()) {
                        progressUntil = System.nanoTime() + MAX_SILENCE.toNanos();
                    }
                    add(polled);
                    skip(consumer, polled.nextOffsets());
                }
                if (System.nanoTime() - progressUntil >= 0) {
                    wanted.keySet().forEach(RecordFetcher.this::silent);
                }
            } finally {
                consumer.assign(Set.of());
            }
            fetched.increment(tasks.size());
            return new Payloads.Fetched(tasks, gone, poison);
        }

        /** Partitions without a leader remain unanswered, and must not delay the others. */
        private void dropWithoutBounds() throws InterruptedException {
            long now = System.nanoTime();
            silentUntil.values().removeIf(until -> now - until >= 0);
            wanted.keySet().removeAll(silentUntil.keySet());
            Map<TopicPartition, QueueSizes.Bounds> bounds = sizes.bounds(Set.copyOf(wanted.keySet()), BOUNDS_TIMEOUT);
            wanted.entrySet().removeIf(one -> {
                QueueSizes.Bounds known = bounds.get(one.getKey());
                if (known == null) {
                    silent(one.getKey());
                    return true;
                }
                // A consumer that is asked for a record outside of them would jump to the first one.
                skipTo(one.getKey(), known.beginning());
                Set<Long> beyond = one.getValue().tailSet(known.end());
                beyond.forEach(offset -> gone.add(position(one.getKey(), offset)));
                beyond.clear();
                return one.getValue().isEmpty();
            });
        }

        private void add(ConsumerRecords<byte[], byte[]> polled) {
            RecordFetcher.this.read.increment(polled.count());
            for (ConsumerRecord<byte[], byte[]> record : polled) {
                TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                if (skipTo(partition, record.offset()).remove(record.offset())) {
                    add(record);
                }
            }
        }

        /** Goes on to the next wanted records. */
        private void skip(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, OffsetAndMetadata> nextOffsets) {
            Set<TopicPartition> read = new HashSet<>();
            nextOffsets.forEach((partition, next) -> {
                TreeSet<Long> offsets = wanted.get(partition);
                if (offsets == null) {
                    return;
                }
                skipTo(partition, next.offset());
                if (offsets.isEmpty()) {
                    read.add(partition);
                } else if (offsets.first() - next.offset() > MAX_SKIPPED) {
                    consumer.seek(partition, offsets.first());
                }
            });
            consumer.pause(read);
            wanted.keySet().removeAll(read);
        }

        /** Records below an offset that have not been read are gone. Returns the offsets that are left. */
        private Set<Long> skipTo(TopicPartition partition, long offset) {
            TreeSet<Long> offsets = wanted.get(partition);
            if (offsets == null) {
                return Set.of();
            }
            while (!offsets.isEmpty() && offsets.first() < offset) {
                gone.add(position(partition, offsets.first()));
                offsets.pollFirst();
            }
            return offsets;
        }

        private Position position(TopicPartition partition, long offset) {
            return new Position(topics.priorityOf(partition.topic()), partition.partition(), offset);
        }

        private void add(ConsumerRecord<byte[], byte[]> record) {
            Position position = records.position(record);
            try {
                tasks.put(position, records.read(record));
                bytes += record.value().length;
            } catch (TaskRecords.PoisonException e) {
                try {
                    deadLetters
                            .poison(record, e.reason(), String.valueOf(e.getMessage()))
                            .join();
                    poison.add(position);
                } catch (CompletionException unavailable) {
                    // Not answered: it is requested again.
                    thread.monitor().failed(unavailable);
                }
            }
        }
    }
}

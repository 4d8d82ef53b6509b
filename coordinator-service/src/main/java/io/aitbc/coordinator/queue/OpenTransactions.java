package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.RangeReader;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeProducersResult;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Detects open transactions that block readers. Groups read up to the last stable offset, which stays at the start of the first open
 * transaction until it ends or the broker aborts it. A thread of its own polls every few seconds; shorter transactions are ignored. Any
 * thread may query the last result.
 */
public final class OpenTransactions implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(OpenTransactions.class);
    private static final Duration INTERVAL = Duration.ofSeconds(2);
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(2);

    private final Admin admin;
    private final KafkaClients clients;
    private final Collection<String> topics;
    private final String results;
    private final Duration resultTimeout;
    private final Clock clock;
    private final OpenTransactionMeters meters;
    private final PeriodicJob poller = new PeriodicJob("open-transactions", INTERVAL, this::poll);
    private final ThrottledWarning held = new ThrottledWarning(
            log, "Open transactions block readers of the records after them, observed {} times: {}");

    private final ThrottledWarning aborted =
            new ThrottledWarning(log, "Aborted {} open transactions that blocked the results topic: {}");
    private final ThrottledWarning notAborted =
            new ThrottledWarning(log, "Failed {} times to abort an open transaction on the results topic: {}");

    private Map<TopicPartition, Long> stableBefore = Map.of();
    private volatile Map<TopicPartition, OpenTransaction> newest = Map.of();

    /**
     * @param topics the monitored topics
     * @param resultTimeout how long a transaction on the results topic may stay open before it is aborted; zero: indefinitely
     */
    public OpenTransactions(
            Admin admin,
            KafkaClients clients,
            Topics topics,
            Duration resultTimeout,
            MeterRegistry meters,
            Clock clock) {
        this.admin = admin;
        this.clients = clients;
        this.results = topics.results();
        this.resultTimeout = resultTimeout;
        this.topics = Stream.concat(topics.tasks().stream(), Stream.of(results)).toList();
        this.clock = clock;
        this.meters = new OpenTransactionMeters(meters, clock);
    }

    /**
     * An open transaction that is the first one of its partition.
     *
     * @param offset its first offset in the partition
     * @param heldBack how many records cannot be read because of it, including its own
     * @param since the timestamp of its first record there; null if that could not be read
     * @param producerId null if the broker does not report it
     * @param transactionalId null if the broker does not report it
     */
    public record OpenTransaction(
            TopicPartition partition,
            long offset,
            long heldBack,
            @Nullable Instant since,
            @Nullable Long producerId,
            @Nullable String transactionalId) {
        /** Description of the producer that blocks readers. */
        public String producer() {
            return "producer " + (producerId == null ? "of unknown id" : producerId)
                    + (transactionalId == null ? "" : " (transactional id " + transactionalId + ")");
        }

        public String sentence() {
            return producer() + " has kept a transaction on " + partition + " open"
                    + (since == null ? "" : " since " + since) + ", which blocks " + heldBack
                    + (heldBack == 1 ? " record" : " records") + " from being read";
        }
    }

    @Override
    public void start() {
        poller.start();
    }

    @Override
    public List<Problem> problems() {
        return poller.problems();
    }

    @Override
    public void close() {
        poller.close();
    }

    /** Transactions that had been open for a few seconds at the last poll, by partition. */
    public Map<TopicPartition, OpenTransaction> newest() {
        return newest;
    }

    /** Those of one topic, oldest first. */
    public List<OpenTransaction> of(String topic) {
        return newest.values().stream()
                .filter(open -> open.partition().topic().equals(topic))
                .sorted(Comparator.comparing(open -> open.since() == null ? Instant.EPOCH : open.since()))
                .toList();
    }

    private void poll() throws InterruptedException, ExecutionException {
        Set<TopicPartition> partitions = partitions();
        ListOffsetsResult stableOffsets = list(partitions, IsolationLevel.READ_COMMITTED);
        ListOffsetsResult endOffsets = list(partitions, IsolationLevel.READ_UNCOMMITTED);
        Map<TopicPartition, Long> stable = new HashMap<>();
        Map<TopicPartition, OpenTransaction> found = new HashMap<>();
        Set<TopicPartition> unknown = new HashSet<>();
        for (TopicPartition partition : partitions) {
            Long border = offset(stableOffsets, partition);
            Long end = offset(endOffsets, partition);
            if (border != null && end != null && border < end) {
                stable.put(partition, border);
                OpenTransaction before = newest.get(partition);
                if (!border.equals(stableBefore.get(partition))) {
                    continue;
                }
                OpenTransaction now = before != null && before.offset() == border
                        ? new OpenTransaction(
                                partition,
                                border,
                                end - border,
                                before.since(),
                                before.producerId(),
                                before.transactionalId())
                        : new OpenTransaction(partition, border, end - border, null, null, null);
                found.put(partition, now);
                if (now.since() == null || now.producerId() == null || now.transactionalId() == null) {
                    unknown.add(partition);
                }
            }
        }
        stableBefore = stable;
        if (!unknown.isEmpty()) {
            describe(unknown, found);
        }
        newest = Map.copyOf(found);
        meters.measure(found.values());
        held.flush(clock.instant());
        abortOverdue(found.values());
        aborted.flush(clock.instant());
        notAborted.flush(clock.instant());
    }

    /** Aborts overdue transactions: a hidden result keeps a slot of its agent occupied, and that agent need not be the producer. */
    private void abortOverdue(Collection<OpenTransaction> open) throws InterruptedException {
        if (resultTimeout.isZero()) {
            return;
        }
        Instant limit = clock.instant().minus(resultTimeout);
        for (OpenTransaction one : open) {
            if (one.partition().topic().equals(results)
                    && one.since() != null
                    && one.since().isBefore(limit)) {
                (abort(one) ? aborted : notAborted).add(one.producer() + " at " + one.partition());
            }
        }
    }

    private boolean abort(OpenTransaction open) throws InterruptedException {
        Optional<ProducerState> left = openAt(admin.describeProducers(Set.of(open.partition())), open.partition());
        if (left.isEmpty() || !Objects.equals(left.get().producerId(), open.producerId())) {
            // It has ended since, or the broker does not report it.
            return false;
        }
        Optional<Map<Long, String>> transactionalIds =
                transactionalIds(Set.of(left.get().producerId()));
        if (transactionalIds.isEmpty()) {
            return false;
        }
        String transactionalId = transactionalIds.get().get(left.get().producerId());
        if (transactionalId != null) {
            // Fences the producer as its successor would, which also aborts the transaction's other partitions.
            return getOrElse(admin.fenceProducers(Set.of(transactionalId)).all(), fenced -> true, false);
        }
        // Unknown to the transaction coordinator: an abort marker must be written to this partition.
        return getOrElse(
                admin.abortTransaction(new AbortTransactionSpec(
                                open.partition(),
                                left.get().producerId(),
                                (short) left.get().producerEpoch(),
                                left.get().coordinatorEpoch().orElse(-1)))
                        .all(),
                marked -> true,
                false);
    }

    private void describe(Set<TopicPartition> partitions, Map<TopicPartition, OpenTransaction> found)
            throws InterruptedException {
        Map<TopicPartition, Instant> since = firstRecords(
                partitions.stream()
                        .filter(partition ->
                                Objects.requireNonNull(found.get(partition)).since() == null)
                        .collect(Collectors.toSet()),
                found);
        Map<TopicPartition, Long> producers = producers(partitions);
        Map<Long, String> transactionalIds =
                transactionalIds(Set.copyOf(producers.values())).orElse(Map.of());
        for (TopicPartition partition : partitions) {
            OpenTransaction open = Objects.requireNonNull(found.get(partition));
            Long producerId = producers.get(partition);
            OpenTransaction described = new OpenTransaction(
                    partition,
                    open.offset(),
                    open.heldBack(),
                    since.getOrDefault(partition, open.since()),
                    producerId,
                    producerId == null ? null : transactionalIds.get(producerId));
            found.put(partition, described);
            held.add(described.producer() + " at " + partition + "@" + open.offset());
        }
    }

    private Map<TopicPartition, Instant> firstRecords(
            Set<TopicPartition> partitions, Map<TopicPartition, OpenTransaction> found) {
        Map<TopicPartition, Instant> times = new HashMap<>();
        if (partitions.isEmpty()) {
            return times;
        }
        Map<TopicPartition, RangeReader.Range> firsts = partitions.stream()
                .collect(Collectors.toMap(Function.identity(), partition -> {
                    long offset = Objects.requireNonNull(found.get(partition)).offset();
                    return new RangeReader.Range(offset, offset, offset + 1);
                }));
        try (RangeReader reader = new RangeReader(clients)) {
            reader.read(firsts, REQUEST_TIMEOUT, (TopicPartition partition, ConsumerRecord<byte[], byte[]> record) -> {
                times.put(partition, Instant.ofEpochMilli(record.timestamp()));
                return false;
            });
        }
        return times;
    }

    private Map<TopicPartition, Long> producers(Set<TopicPartition> partitions) throws InterruptedException {
        Map<TopicPartition, Long> ids = new HashMap<>();
        DescribeProducersResult described = admin.describeProducers(partitions);
        for (TopicPartition partition : partitions) {
            openAt(described, partition).ifPresent(producer -> ids.put(partition, producer.producerId()));
        }
        return ids;
    }

    /** The producer whose open transaction is the first one of a partition; empty if there is none, or the broker does not report it. */
    private static Optional<ProducerState> openAt(DescribeProducersResult described, TopicPartition partition)
            throws InterruptedException {
        return getOrElse(
                described.partitionResult(partition),
                state -> state.activeProducers().stream()
                        .filter(producer ->
                                producer.currentTransactionStartOffset().isPresent())
                        .min(Comparator.comparingLong(producer ->
                                producer.currentTransactionStartOffset().getAsLong())),
                Optional.empty());
    }

    /** Producer id → transactional id, of those that the transaction coordinators know; empty if one of them does not answer. */
    private Optional<Map<Long, String>> transactionalIds(Set<Long> producerIds) throws InterruptedException {
        if (producerIds.isEmpty()) {
            return Optional.of(Map.of());
        }
        return getOrElse(
                admin.listTransactions(new ListTransactionsOptions().filterProducerIds(producerIds))
                        .all(),
                listed -> Optional.of(listed.stream()
                        .collect(Collectors.toMap(
                                TransactionListing::producerId, TransactionListing::transactionalId, (a, b) -> a))),
                Optional.empty());
    }

    /** Maps an answer, or falls back if the request fails, for example if the broker does not support or authorize it. */
    private static <T, R> R getOrElse(KafkaFuture<T> future, Function<T, R> mapper, R fallback)
            throws InterruptedException {
        try {
            return mapper.apply(future.get());
        } catch (ExecutionException e) {
            log.atDebug().log("Request to the broker failed: {}", String.valueOf(e.getCause()));
            return fallback;
        }
    }

    private Set<TopicPartition> partitions() throws InterruptedException, ExecutionException {
        Set<TopicPartition> partitions = new HashSet<>();
        for (var described : admin.describeTopics(topics).topicNameValues().values()) {
            // A missing topic blocks nobody.
            partitions.addAll(getOrElse(
                    described,
                    topic -> topic.partitions().stream()
                            .map(partition -> new TopicPartition(topic.name(), partition.partition()))
                            .collect(Collectors.toSet()),
                    Set.of()));
        }
        return partitions;
    }

    private ListOffsetsResult list(Set<TopicPartition> partitions, IsolationLevel isolation) {
        return admin.listOffsets(
                partitions.stream().collect(Collectors.toMap(Function.identity(), partition -> OffsetSpec.latest())),
                new ListOffsetsOptions(isolation));
    }

    private static @Nullable Long offset(ListOffsetsResult listed, TopicPartition partition)
            throws InterruptedException {
        Optional<Long> offset =
                getOrElse(listed.partitionResult(partition), found -> Optional.of(found.offset()), Optional.empty());
        return offset.orElse(null);
    }
}

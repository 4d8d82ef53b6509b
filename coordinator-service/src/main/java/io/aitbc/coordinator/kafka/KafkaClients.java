package io.aitbc.coordinator.kafka;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.ProducerFactory;

/** Creates Kafka clients: connection and security from Spring Boot ({@code spring.kafka.*}), the remaining settings by purpose. */
public final class KafkaClients {
    /** Timeout of standalone consumers. Short, because callers wait for their reads. */
    private static final int STANDALONE_CONSUMER_TIMEOUT_MS = 10_000;

    /** The shortest that brokers allow by default. */
    private static final int SESSION_TIMEOUT_MS = 6_000;
    /** Members hear of a rebalance with their next heartbeat. */
    private static final int HEARTBEAT_INTERVAL_MS = 500;

    /** In the classic protocol also the time for which a rebalance waits for a member that does not poll. */
    private static final int MAX_POLL_INTERVAL_MS = 30_000;

    private static final int RANGE_FETCH_WAIT_MS = 10;
    private static final int SHORT_FETCH_BYTES = 64 * 1024;
    private static final int SHORT_FETCH_RECORDS = 2_000;

    private static final Set<String> EXPORTED_METRICS = Set.of(
            "connection-count",
            "request-latency-avg",
            "records-lag-max",
            "last-poll-seconds-ago",
            "last-heartbeat-seconds-ago",
            "commit-latency-avg",
            "record-error-rate",
            "record-retry-rate",
            "record-queue-time-avg",
            "buffer-available-bytes");

    private final Map<String, Object> consumerBase;
    private final Map<String, Object> producerBase;
    private final CoordinatorId id;
    private final MeterRegistry meters;
    private final Set<String> groups = ConcurrentHashMap.newKeySet();

    public KafkaClients(
            ConsumerFactory<?, ?> consumers, ProducerFactory<?, ?> producers, CoordinatorId id, MeterRegistry meters) {
        this.id = id;
        this.meters = meters;
        this.consumerBase = consumers.getConfigurationProperties();
        this.producerBase = producers.getConfigurationProperties();
    }

    /**
     * A group consumer that shares partitions with the other coordinators. It uses the classic protocol, in which the session timeout is the
     * client's choice, see docs/rationale.md, and is a static member, so that others can remove it, see {@link GroupMembers}. On close it
     * leaves the group.
     */
    public KafkaConsumer<byte[], byte[]> groupConsumer(String group, Map<String, Object> extra) {
        Map<String, Object> config = consumerConfig();
        config.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        config.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, id.text());
        config.put(ConsumerConfig.GROUP_PROTOCOL_CONFIG, "classic");
        config.put(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, CopartitionAssignor.class.getName());
        config.putIfAbsent(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, SESSION_TIMEOUT_MS);
        config.putIfAbsent(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, HEARTBEAT_INTERVAL_MS);
        config.putIfAbsent(ConsumerConfig.MAX_POLL_INTERVAL_MS_CONFIG, MAX_POLL_INTERVAL_MS);
        config.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        config.putAll(extra);
        KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer()) {
                    @Override
                    public void close() {
                        // By default, a static member keeps its partitions until its session times out.
                        close(CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
                    }
                };
        groups.add(group);
        registerMetrics(group, consumer.metrics().values());
        return consumer;
    }

    /** The groups that this coordinator has been a member of. */
    Set<String> groups() {
        return groups;
    }

    /** A consumer of manually assigned partitions, without a group. Also reads records of open and aborted transactions. */
    public KafkaConsumer<byte[], byte[]> standaloneConsumer() {
        return new KafkaConsumer<>(
                standaloneConfig(IsolationLevel.READ_UNCOMMITTED),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }

    /**
     * A consumer of ranges of what is there already: the broker does not hold back a response until more arrives, which would
     * delay the next read.
     *
     * @param isolation also determines what {@code endOffsets} returns: the last stable offset, which an open transaction holds back, or
     *     the high watermark; a loop that reads to the end must ask the same consumer for it
     */
    KafkaConsumer<byte[], byte[]> rangeConsumer(IsolationLevel isolation) {
        Map<String, Object> config = standaloneConfig(isolation);
        config.putIfAbsent(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, RANGE_FETCH_WAIT_MS);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** A consumer of single records or short runs of them, so that little is read that is not wanted. */
    public KafkaConsumer<byte[], byte[]> fetchConsumer() {
        Map<String, Object> config = standaloneConfig(IsolationLevel.READ_UNCOMMITTED);
        config.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, RANGE_FETCH_WAIT_MS);
        config.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, SHORT_FETCH_BYTES);
        config.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, SHORT_FETCH_RECORDS);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private Map<String, Object> standaloneConfig(IsolationLevel isolation) {
        Map<String, Object> config = consumerConfig();
        config.remove(ConsumerConfig.GROUP_ID_CONFIG);
        config.put(ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, STANDALONE_CONSUMER_TIMEOUT_MS);
        config.put(ConsumerConfig.REQUEST_TIMEOUT_MS_CONFIG, STANDALONE_CONSUMER_TIMEOUT_MS);
        config.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, isolation.toString());
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return config;
    }

    /**
     * An idempotent producer with acks=all.
     *
     * @param name identifies its metrics
     * @param deliveryTimeout delivery timeout of a record
     */
    public Producer<String, byte[]> producer(
            String name, Duration linger, Duration deliveryTimeout, Map<String, Object> extra) {
        Map<String, Object> config = new HashMap<>(producerBase);
        config.remove(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG);
        config.remove(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG);
        int deliveryTimeoutMs = (int) Math.min(Integer.MAX_VALUE, deliveryTimeout.toMillis());
        config.put(ProducerConfig.ACKS_CONFIG, "all");
        config.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        config.put(ProducerConfig.LINGER_MS_CONFIG, (int) linger.toMillis());
        config.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, deliveryTimeoutMs);
        config.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, (int)
                Math.min(30_000, deliveryTimeoutMs - linger.toMillis()));
        config.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, Math.min(5_000, deliveryTimeoutMs));
        config.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, TopicCatalog.MAX_MESSAGE_BYTES);
        config.put(CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG, 1_000);
        config.putAll(extra);
        Producer<String, byte[]> producer =
                new KafkaProducer<>(config, new StringSerializer(), new ByteArraySerializer());
        registerMetrics(name, producer.metrics().values());
        return producer;
    }

    /** Registers client-level health metrics only. Clients also report per topic and per broker, and there is a topic per agent. */
    private void registerMetrics(String client, Collection<? extends Metric> all) {
        all.stream()
                .filter(metric -> EXPORTED_METRICS.contains(metric.metricName().name())
                        && metric.metricName().tags().keySet().equals(Set.of("client-id")))
                .forEach(metric -> registerMetrics(client, metric));
    }

    private void registerMetrics(String client, Metric metric) {
        // Prometheus reserves the suffix "count" for histograms.
        String name = "coordinator.kafka."
                + metric.metricName().name().replaceFirst("-count$", "s").replace('-', '.');
        // Replace the metrics of an earlier client of the same name.
        meters.find(name).tag("client", client).meters().forEach(meters::remove);
        Gauge.builder(
                        name,
                        metric,
                        one -> one.metricValue() instanceof Number number ? number.doubleValue() : Double.NaN)
                .description(metric.metricName().description())
                .tag("client", client)
                .register(meters);
    }

    /** Sends a record; completes once all in-sync replicas have it. Fails the future, and never throws, if Kafka rejects it. */
    public static CompletableFuture<Void> send(
            Producer<String, byte[]> producer, ProducerRecord<String, byte[]> record) {
        return send(producer, record, metadata -> null);
    }

    /** Like {@link #send}; completes with the partition and offset of the record. */
    public static CompletableFuture<RecordMetadata> append(
            Producer<String, byte[]> producer, ProducerRecord<String, byte[]> record) {
        return send(producer, record, metadata -> metadata);
    }

    private static <T extends @Nullable Object> CompletableFuture<T> send(
            Producer<String, byte[]> producer,
            ProducerRecord<String, byte[]> record,
            Function<RecordMetadata, T> outcome) {
        CompletableFuture<T> sent = new CompletableFuture<>();
        try {
            producer.send(record, (metadata, failure) -> {
                if (failure == null) {
                    sent.complete(outcome.apply(metadata));
                } else {
                    sent.completeExceptionally(failure);
                }
            });
        } catch (RuntimeException e) {
            sent.completeExceptionally(e);
        }
        return sent;
    }

    /** The partition to which Kafka's clients assign a record with this key by default. */
    public static int partition(String key, int partitions) {
        return Utils.toPositive(Utils.murmur2(key.getBytes(StandardCharsets.UTF_8))) % partitions;
    }

    /** The message of a failed request's cause. */
    public static String reason(ExecutionException e) {
        return String.valueOf(
                e.getCause() == null ? e.getMessage() : e.getCause().getMessage());
    }

    private Map<String, Object> consumerConfig() {
        Map<String, Object> config = new HashMap<>(consumerBase);
        config.remove(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG);
        config.remove(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG);
        config.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        config.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        config.put(CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG, 1_000);
        return config;
    }
}

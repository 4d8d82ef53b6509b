package io.aitbc.worker;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * An agent: registered and alive from {@link Builder#start} to {@link #close}. Of two agents with the same id the one that started
 * later works, the other ends.
 */
public final class AgentWorker implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(AgentWorker.class);
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration BETWEEN_TRIES = Duration.ofMillis(500);
    private static final Duration QUIET = Duration.ofMillis(500);
    private static final int MAX_RECORD_BYTES = 2 * 1024 * 1024;

    /** How far back of the last commit repeated assignments are looked for at the start. */
    private static final long LOOK_BACK = 2_000;

    /** How long Kafka may take to hear that it ends. */
    private static final Duration LAST_WORDS = Duration.ofSeconds(3);

    private final Registration registration;
    private final Handler handler;
    private final Topics topics;
    private final Duration heartbeatInterval;
    private final Duration drainTimeout;
    private final Clock clock;
    private final KafkaProducer<String, byte[]> producer;
    private final KafkaConsumer<String, byte[]> consumer;
    private final ExecutorService handlers;
    private final Thread consuming;
    private final Thread beating;
    private final String instanceId = UUID.randomUUID().toString();
    private final CountDownLatch draining = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private final ConcurrentLinkedQueue<Long> reported = new ConcurrentLinkedQueue<>();
    private final AtomicInteger running = new AtomicInteger();
    private final Map<String, Run> runs = new ConcurrentHashMap<>();
    private final ProcessLoad load = new ProcessLoad();

    private final Map<String, Object> readerConfig;
    private final OpenOffsets offsets = new OpenOffsets();
    private final RecentIds seen = new RecentIds();
    /** By how much the clock of Kafka is ahead of this machine's. */
    private volatile long kafkaAheadMs;

    private volatile boolean fenced;

    private @Nullable Instant drainUntil;
    private Instant quietSince = Instant.EPOCH;

    private AgentWorker(Builder builder) {
        this.registration = builder.registration;
        this.handler = builder.handler;
        this.topics = builder.topics;
        this.heartbeatInterval = builder.heartbeatInterval;
        this.drainTimeout = builder.drainTimeout;
        this.clock = builder.clock;
        this.producer = new KafkaProducer<>(producerConfig(builder), new StringSerializer(), new ByteArraySerializer());
        this.readerConfig = readerConfig(builder);
        this.consumer = new KafkaConsumer<>(memberConfig(), new StringDeserializer(), new ByteArrayDeserializer());
        this.handlers = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "handler-" + agentId());
            thread.setDaemon(true);
            return thread;
        });
        this.consuming = new Thread(this::consume, "agent-" + agentId());
        this.beating = new Thread(this::beat, "heartbeat-" + agentId());
    }

    /**
     * An agent that runs a handler.
     *
     * @param bootstrapServers where Kafka is, {@code host:port}, several with commas between
     */
    public static Builder builder(String bootstrapServers, Registration registration, Handler handler) {
        return new Builder(bootstrapServers, registration, handler);
    }

    public String agentId() {
        return registration.agentId();
    }

    /** Whether it still works; false once closed, or once another agent of the same id has taken over. */
    public boolean isRunning() {
        return consuming.isAlive();
    }

    /** Waits until it has ended. */
    public void join() throws InterruptedException {
        consuming.join();
    }

    /**
     * Drains: takes no new tasks, finishes what was given to it as far as the drain timeout allows, and deregisters. What is not
     * finished goes to other agents.
     */
    @Override
    public void close() {
        draining.countDown();
        try {
            consuming.join(drainTimeout.plusSeconds(10).toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void beat() {
        try {
            beatUntil(draining, AgentStatus.ACTIVE);
            // What it finishes may take longer than a silent agent is waited for.
            beatUntil(ended, AgentStatus.MAINTENANCE);
        } catch (InterruptedException | KafkaException e) {
            log.debug("No more heartbeats: {}", e.toString());
        }
    }

    private void beatUntil(CountDownLatch end, AgentStatus status) throws InterruptedException {
        if (fenced) {
            // The agent is another process by now, of which this one has nothing to say.
            return;
        }
        send(status);
        while (!end.await(heartbeatInterval.toMillis(), TimeUnit.MILLISECONDS)) {
            // The status is left to whoever changes it.
            send(null);
        }
    }

    private void send(@Nullable AgentStatus status) {
        Instant now = clock.instant();
        Heartbeat heartbeat = new Heartbeat(
                agentId(), status, load.metrics(running.get(), registration.capacity()), now, instanceId, registration);
        producer.send(
                new ProducerRecord<>(topics.heartbeats(), null, now.toEpochMilli(), agentId(), Json.bytes(heartbeat)),
                (metadata, failure) -> {
                    if (failure != null) {
                        log.warn("Heartbeat of {} not sent: {}", agentId(), failure.toString());
                    } else if (metadata.timestamp() != now.toEpochMilli()) {
                        // Kafka has put its own time in the place of ours.
                        kafkaAheadMs = metadata.timestamp() - clock.millis();
                    }
                });
    }

    /** By the clock of Kafka, as far as it is known: deadlines are not by that of this machine, which may be wrong. */
    private Instant now() {
        return clock.instant().plusMillis(kafkaAheadMs);
    }

    private void consume() {
        try {
            if (awaitTopic()) {
                consumer.subscribe(List.of(topic()), new StartAfterLastCommit());
                while (!drained()) {
                    round();
                }
                settleOffsets();
            }
        } catch (FencedInstanceIdException e) {
            fenced = true;
            log.error("Another agent with the id {} has started: this one ends", agentId());
        } catch (KafkaException e) {
            log.error("Agent {} ends: {}", agentId(), e.toString());
        } finally {
            draining.countDown();
            ended.countDown();
            handlers.shutdownNow();
            leaveGroup();
            if (!fenced) {
                sayGoodbye();
            }
            closeProducer();
        }
    }

    private void leaveGroup() {
        try {
            consumer.close(CloseOptions.timeout(LAST_WORDS));
        } catch (KafkaException e) {
            log.warn("Agent {} did not end cleanly: {}", agentId(), e.toString());
        }
    }

    /** In a thread of its own: at a broker that accepts connections and never answers, it takes longer than it is told. */
    private void closeProducer() {
        Thread closing = new Thread(() -> producer.close(LAST_WORDS), "closing-" + agentId());
        closing.setDaemon(true);
        closing.start();
        try {
            closing.join(LAST_WORDS.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void sayGoodbye() {
        try {
            beating.join(TimeUnit.SECONDS.toMillis(1));
            // While Kafka is away its last heartbeat waits to be sent; another would wait as long.
            if (!beating.isAlive()) {
                send(AgentStatus.INACTIVE);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** A coordinator makes the topic when it sees the first heartbeat. */
    private boolean awaitTopic() {
        while (draining.getCount() > 0) {
            try {
                if (!consumer.partitionsFor(topic(), Duration.ofSeconds(2)).isEmpty()) {
                    return true;
                }
            } catch (RetriableException e) {
                log.warn("Agent {} waits for Kafka at {}", agentId(), servers());
            }
            pause();
        }
        return false;
    }

    private void pause() {
        try {
            draining.await(BETWEEN_TRIES.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            draining.countDown();
        }
    }

    private void round() {
        try {
            if (offsets.size() < registration.capacity()) {
                consumer.resume(consumer.paused());
            } else {
                consumer.pause(consumer.assignment());
            }
            for (ConsumerRecord<String, byte[]> record : consumer.poll(POLL)) {
                take(record);
            }
            settleOffsets();
        } catch (RetriableException e) {
            log.warn("Agent {} will try again: {}", agentId(), e.toString());
        }
    }

    private void take(ConsumerRecord<String, byte[]> record) {
        offsets.read(record.offset());
        Assignment assignment;
        try {
            JsonNode message = Json.read(record.value() == null ? new byte[0] : record.value(), JsonNode.class);
            if (message.has("type")) {
                cancel(message);
                offsets.reported(record.offset());
                return;
            }
            assignment = Json.read(message, Assignment.class);
        } catch (Json.MalformedMessageException e) {
            log.warn("Not an assignment, at offset {} of {}: {}", record.offset(), record.topic(), e.getMessage());
            offsets.reported(record.offset());
            return;
        }
        boolean repeated = !seen.add(assignment.assignmentId());
        if (repeated || assignment.deadline().isBefore(now())) {
            log.atDebug()
                    .addKeyValue("task_id", assignment.taskId())
                    .log("{} is {}, dropped", assignment.assignmentId(), repeated ? "repeated" : "past its deadline");
            offsets.reported(record.offset());
            return;
        }
        running.incrementAndGet();
        Run run = new Run(
                assignment.assignmentId(), record.offset(), record.headers().lastHeader(TaskHeaders.TRACEPARENT));
        runs.put(run.assignmentId, run);
        handlers.execute(() -> run(assignment, run));
    }

    /** An assignment in the hands of the handler. */
    private static final class Run {
        final String assignmentId;
        final long offset;
        final @Nullable Header trace;
        private @Nullable Thread thread;
        private boolean cancelled;

        Run(String assignmentId, long offset, @Nullable Header trace) {
            this.assignmentId = assignmentId;
            this.offset = offset;
            this.trace = trace;
        }

        /** False if there is no need to any more. */
        synchronized boolean begins() {
            thread = Thread.currentThread();
            return !cancelled;
        }

        /** Whether it was cancelled; from here on it cannot be. */
        synchronized boolean ends() {
            thread = null;
            return cancelled;
        }

        synchronized void cancel() {
            cancelled = true;
            if (thread != null) {
                thread.interrupt();
            }
        }
    }

    private void cancel(JsonNode message) {
        if (!Cancellation.TYPE.equals(message.get("type").asString(""))) {
            log.debug("A message of a later version, passed over");
            return;
        }
        Cancellation cancellation = Json.read(message, Cancellation.class);
        // Should the assignment come yet, it is one that was seen.
        seen.add(cancellation.assignmentId());
        Run run = runs.get(cancellation.assignmentId());
        if (run != null) {
            log.atInfo().addKeyValue("task_id", cancellation.taskId()).log("Cancelled: {}", run.assignmentId);
            run.cancel();
        }
    }

    private void run(Assignment assignment, Run run) {
        TaskResult result = run.begins() ? outcome(assignment, run.trace) : null;
        boolean cancelled = run.ends();
        runs.remove(run.assignmentId);
        running.decrementAndGet();
        if (cancelled) {
            reported.add(run.offset);
        } else if (result != null) {
            report(result, run.trace, run.offset);
        }
    }

    /** Null when the drain timeout has passed: the coordinator gives the task to another agent. */
    private @Nullable TaskResult outcome(Assignment assignment, @Nullable Header trace) {
        Instant startedAt = clock.instant();
        try {
            JsonNode value = handler.handle(
                    assignment,
                    soFar -> report(
                            TaskResult.of(assignment, TaskResult.Status.PROGRESS, soFar, null, startedAt, null),
                            trace,
                            -1));
            return TaskResult.of(assignment, TaskResult.Status.COMPLETED, value, null, startedAt, clock.instant());
        } catch (Handler.RejectedException e) {
            return inVain(assignment, TaskResult.Status.REJECTED, e, startedAt);
        } catch (InterruptedException e) {
            // Unless the agent ends: then the coordinator gives the task to another.
            return handlers.isShutdown() ? null : inVain(assignment, TaskResult.Status.FAILED, e, startedAt);
        } catch (Throwable e) {
            log.atInfo().addKeyValue("task_id", assignment.taskId()).log("Attempt failed: {}", e.toString());
            return inVain(assignment, TaskResult.Status.FAILED, e, startedAt);
        }
    }

    private TaskResult inVain(Assignment assignment, TaskResult.Status status, Throwable e, Instant startedAt) {
        String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        return TaskResult.of(assignment, status, null, Json.tree(reason), startedAt, clock.instant());
    }

    /**
     * @param trace the header of the assignment, passed on
     * @param offset which record is done with that, or -1
     */
    private void report(TaskResult result, @Nullable Header trace, long offset) {
        ProducerRecord<String, byte[]> record =
                new ProducerRecord<>(topics.results(), result.taskId(), Json.bytes(result));
        if (trace != null) {
            record.headers().add(trace);
        }
        producer.send(record, (metadata, failure) -> {
            if (failure == null) {
                if (offset >= 0) {
                    reported.add(offset);
                }
            } else if (failure instanceof RecordTooLargeException && offset >= 0) {
                report(tooLarge(result), trace, offset);
            } else {
                log.atError()
                        .addKeyValue("task_id", result.taskId())
                        .log("Result of {} not sent: {}", result.assignmentId(), failure.toString());
            }
        });
    }

    private static TaskResult tooLarge(TaskResult result) {
        return new TaskResult(
                result.assignmentId(),
                result.taskId(),
                result.attempt(),
                result.agentId(),
                TaskResult.Status.FAILED,
                null,
                Json.tree("the result is larger than its topic takes"),
                result.startedAt(),
                result.finishedAt());
    }

    private void settleOffsets() {
        for (Long offset = reported.poll(); offset != null; offset = reported.poll()) {
            offsets.reported(offset);
        }
        long commit = offsets.toCommit();
        if (commit >= 0) {
            consumer.commitAsync(Map.of(partition(), new OffsetAndMetadata(commit)), (committed, failure) -> {
                if (failure != null) {
                    offsets.commitFailed();
                }
            });
        }
    }

    private boolean drained() {
        if (draining.getCount() > 0) {
            return false;
        }
        Instant now = Instant.now();
        if (drainUntil == null) {
            drainUntil = now.plus(drainTimeout);
            quietSince = now;
        }
        if (offsets.size() > 0) {
            quietSince = now;
        }
        return now.isAfter(drainUntil) || Duration.between(quietSince, now).compareTo(QUIET) > 0;
    }

    private Object servers() {
        return readerConfig.get(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG);
    }

    private String topic() {
        return topics.assignments(agentId());
    }

    private TopicPartition partition() {
        return new TopicPartition(topic(), 0);
    }

    /** Learns which assignments came last, from the topic itself, so that one repeated after a restart is known. */
    private final class StartAfterLastCommit implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            settleOffsets();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            offsets.forget();
            long start = consumer.position(partition());
            long from = Math.max(
                    start - LOOK_BACK,
                    consumer.beginningOffsets(List.of(partition())).get(partition()));
            if (from >= start) {
                return;
            }
            try (KafkaConsumer<String, byte[]> reader =
                    new KafkaConsumer<>(readerConfig, new StringDeserializer(), new ByteArrayDeserializer())) {
                reader.assign(List.of(partition()));
                reader.seek(partition(), from);
                Instant until = Instant.now().plusSeconds(10);
                while (reader.position(partition()) < start && Instant.now().isBefore(until)) {
                    for (ConsumerRecord<String, byte[]> record : reader.poll(POLL)) {
                        remember(record, start);
                    }
                }
            }
        }

        private void remember(ConsumerRecord<String, byte[]> record, long start) {
            if (record.offset() < start && record.value() != null) {
                try {
                    seen.add(Json.read(record.value(), Assignment.class).assignmentId());
                } catch (Json.MalformedMessageException e) {
                    log.trace("Not an assignment, as was said when it was read first");
                }
            }
        }
    }

    private static Map<String, Object> readerConfig(Builder builder) {
        Map<String, Object> config = clientConfig(builder);
        config.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        config.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return config;
    }

    private Map<String, Object> memberConfig() {
        Map<String, Object> config = new HashMap<>(readerConfig);
        config.put(ConsumerConfig.GROUP_ID_CONFIG, topics.agentGroup(registration.agentId()));
        // Static membership: a restarted agent goes on at once, and of two with the same id the later wins.
        config.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, registration.agentId());
        config.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, Math.min(500, registration.capacity()));
        return config;
    }

    private static Map<String, Object> producerConfig(Builder builder) {
        Map<String, Object> config = clientConfig(builder);
        config.put(ProducerConfig.ACKS_CONFIG, "all");
        config.put(ProducerConfig.LINGER_MS_CONFIG, 5);
        config.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, MAX_RECORD_BYTES);
        // A result is worth waiting for, however long Kafka is away.
        config.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, Integer.MAX_VALUE);
        config.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, Long.MAX_VALUE);
        return config;
    }

    private static Map<String, Object> clientConfig(Builder builder) {
        Map<String, Object> config = new HashMap<>(builder.kafka);
        config.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, builder.bootstrapServers);
        config.put(CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG, 1_000);
        return config;
    }

    /** What an agent is made of; what is not set has a default. */
    public static final class Builder {
        private final String bootstrapServers;
        private final Registration registration;
        private final Handler handler;
        private Topics topics = Topics.unprefixed();
        private Duration heartbeatInterval = Duration.ofSeconds(10);
        private Duration drainTimeout = Duration.ofSeconds(30);
        private Map<String, Object> kafka = Map.of();
        private Clock clock = Clock.tickMillis(ZoneOffset.UTC);

        private Builder(String bootstrapServers, Registration registration, Handler handler) {
            this.bootstrapServers = bootstrapServers;
            this.registration = registration;
            this.handler = handler;
        }

        /** As the coordinators are configured. */
        public Builder topics(Topics topics) {
            this.topics = topics;
            return this;
        }

        /** 10 s by default; coordinators expect one every 30 s. */
        public Builder heartbeatInterval(Duration interval) {
            if (interval.isNegative() || interval.isZero()) {
                throw new IllegalArgumentException("the time between heartbeats must be more than 0");
            }
            this.heartbeatInterval = interval;
            return this;
        }

        /** How long {@link AgentWorker#close} waits for what is running; 30 s by default. */
        public Builder drainTimeout(Duration timeout) {
            if (timeout.isNegative()) {
                throw new IllegalArgumentException("the time to drain must not be negative");
            }
            this.drainTimeout = timeout;
            return this;
        }

        /** The machine's by default. It may be wrong: what counts is Kafka's, as far as it is known. */
        public Builder clock(Clock clock) {
            this.clock = clock;
            return this;
        }

        /** More settings of Kafka's clients, such as those of security. */
        public Builder kafka(Properties properties) {
            Map<String, Object> settings = new HashMap<>();
            properties.stringPropertyNames().forEach(name -> settings.put(name, properties.getProperty(name)));
            this.kafka = settings;
            return this;
        }

        public AgentWorker start() {
            AgentWorker worker = new AgentWorker(this);
            worker.beating.setDaemon(true);
            worker.beating.start();
            worker.consuming.start();
            return worker;
        }
    }
}

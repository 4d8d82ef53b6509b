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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
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
 * An agent: registered and alive from {@link Builder#start} to {@link #close}. If two agents use the same id, the one that
 * started later takes over and the other stops.
 */
public final class AgentWorker implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(AgentWorker.class);
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration RETRY_INTERVAL = Duration.ofMillis(500);
    private static final Duration QUIET_PERIOD = Duration.ofMillis(500);
    private static final int MAX_RECORD_BYTES = 2 * 1024 * 1024;

    /** Bytes of assignments waiting for a slot at which consumption pauses. Not reached while coordinators respect the capacity. */
    private static final long MAX_WAITING_BYTES = 32 * 1024 * 1024;

    /** Memory footprint of an assignment in addition to its record. */
    private static final int ASSIGNMENT_OVERHEAD_BYTES = 1024;

    private static final long WARN_INTERVAL_NANOS = TimeUnit.MINUTES.toNanos(1);

    /** Records before the last commit that are scanned at startup to recognise duplicate assignments. */
    private static final long LOOK_BACK = 2_000;

    private static final Duration LOOK_BACK_TIMEOUT = Duration.ofSeconds(10);

    /** Timeout for closing the Kafka clients. */
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(3);

    private final Registration registration;
    private final Handler handler;
    private final Topics topics;
    private final Duration heartbeatInterval;
    private final Duration drainTimeout;
    private final Clock clock;
    private final KafkaClock kafkaClock;
    private final KafkaProducer<String, byte[]> producer;
    private final KafkaConsumer<String, byte[]> consumer;
    private final Slots slots;
    private final Results results;
    private final Thread consumerThread;
    private final Thread heartbeatThread;
    private final String instanceId = UUID.randomUUID().toString();
    private final CountDownLatch draining = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private final ConcurrentLinkedQueue<Run> finishedRuns = new ConcurrentLinkedQueue<>();
    private final ProcessLoad load = new ProcessLoad();

    private final Map<String, Object> readerConfig;
    private final OpenOffsets offsets = new OpenOffsets();
    private final RecentIds seen = new RecentIds();
    /** By assignment id. Bounded: the oldest entries are dropped. */
    private final Map<String, Cancellation> cancelled = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Cancellation> eldest) {
            return size() > RecentIds.CAPACITY;
        }
    };

    /** In-flight assignments by id: waiting, running, or being reported. */
    private final Map<String, Run> runs = new HashMap<>();

    private boolean isDraining;
    private long drainStartedAt;
    private long busyAt;
    private long lastWarningAt = System.nanoTime() - WARN_INTERVAL_NANOS;

    private volatile boolean fenced;
    private volatile boolean failed;
    private volatile boolean heartbeatDelivered = true;
    private volatile @Nullable AgentStatus pendingStatus;

    private AgentWorker(Builder builder) {
        this.registration = builder.registration;
        this.handler = builder.handler;
        this.topics = builder.topics;
        this.heartbeatInterval = builder.heartbeatInterval;
        this.drainTimeout = builder.drainTimeout;
        this.clock = builder.clock;
        this.kafkaClock = new KafkaClock(clock);
        this.producer = new KafkaProducer<>(producerConfig(builder), new StringSerializer(), new ByteArraySerializer());
        this.readerConfig = readerConfig(builder);
        this.consumer = new KafkaConsumer<>(memberConfig(), new StringDeserializer(), new ByteArrayDeserializer());
        this.slots = new Slots(registration.capacity(), task -> {
            Thread thread = new Thread(task, "handler-" + agentId());
            thread.setDaemon(true);
            return thread;
        });
        this.results = new Results(producer, topics.results(), agentId(), kafkaClock);
        this.consumerThread = new Thread(this::consume, "agent-" + agentId());
        this.heartbeatThread = new Thread(this::sendHeartbeats, "heartbeat-" + agentId());
    }

    /**
     * Returns a builder for an agent that runs a handler.
     *
     * @param bootstrapServers Kafka servers as {@code host:port}, comma-separated
     */
    public static Builder builder(String bootstrapServers, Registration registration, Handler handler) {
        return new Builder(bootstrapServers, registration, handler);
    }

    public String agentId() {
        return registration.agentId();
    }

    /** Returns whether the agent is running; false once closed, or once another agent with the same id has taken over. */
    public boolean isRunning() {
        return consumerThread.isAlive();
    }

    /** Returns whether the agent stopped on its own; the log states the reason. */
    public boolean hasFailed() {
        return failed;
    }

    /** Waits until the agent has stopped. */
    public void join() throws InterruptedException {
        consumerThread.join();
    }

    /**
     * Drains the agent: accepts no new tasks, finishes running ones within the drain timeout, and deregisters. Unfinished tasks
     * go to other agents.
     */
    @Override
    public void close() {
        draining.countDown();
        try {
            consumerThread.join(drainTimeout.plusSeconds(10).toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void sendHeartbeats() {
        try {
            sendHeartbeatsUntil(draining, AgentStatus.ACTIVE);
            // Draining may take longer than the heartbeat timeout.
            sendHeartbeatsUntil(ended, AgentStatus.MAINTENANCE);
        } catch (InterruptedException e) {
            log.debug("Heartbeats stopped: {}", e.toString());
        } catch (Throwable e) {
            // Without heartbeats, tasks are reassigned while this agent still runs them, so it stops instead.
            log.error("Agent {} cannot send heartbeats and stops", agentId(), e);
            failed = true;
            draining.countDown();
        }
    }

    private void sendHeartbeatsUntil(CountDownLatch end, AgentStatus status) throws InterruptedException {
        if (fenced) {
            // Another process has taken over this agent id; this one must not report for it.
            return;
        }
        pendingStatus = status;
        send(pendingStatus);
        while (!end.await(nextHeartbeatDelay().toMillis(), TimeUnit.MILLISECONDS)) {
            // Once delivered, the status is omitted, so that changes made elsewhere are kept.
            send(pendingStatus);
        }
    }

    private Duration nextHeartbeatDelay() {
        return heartbeatDelivered || heartbeatInterval.compareTo(RETRY_INTERVAL) < 0
                ? heartbeatInterval
                : RETRY_INTERVAL;
    }

    private void send(@Nullable AgentStatus status) {
        try {
            Instant now = clock.instant();
            Heartbeat heartbeat = new Heartbeat(
                    agentId(),
                    status,
                    load.metrics(slots.taken(), registration.capacity()),
                    now,
                    instanceId,
                    registration);
            long sentAt = now.toEpochMilli();
            producer.send(
                    new ProducerRecord<>(topics.heartbeats(), null, sentAt, agentId(), Json.bytes(heartbeat)),
                    (metadata, failure) -> {
                        if (failure == null) {
                            kafkaClock.acknowledged(sentAt, metadata.timestamp());
                            heartbeatDelivered = true;
                            if (status == pendingStatus) {
                                pendingStatus = null;
                            }
                        } else {
                            heartbeatFailed(failure);
                        }
                    });
        } catch (RuntimeException e) {
            heartbeatFailed(e);
        }
    }

    /** Logs the first failure only, until a heartbeat succeeds again. */
    private void heartbeatFailed(Exception failure) {
        if (heartbeatDelivered) {
            heartbeatDelivered = false;
            log.warn("Heartbeat of {} not sent: {}", agentId(), failure.toString());
        }
    }

    private void consume() {
        try {
            if (awaitTopic()) {
                consumer.subscribe(List.of(topic()), new StartAfterLastCommit());
                while (!drained()) {
                    round();
                }
                commitReported();
            }
        } catch (FencedInstanceIdException e) {
            fenced = true;
            failed = true;
            log.error("Another agent with id {} has started; this one stops", agentId());
        } catch (KafkaException e) {
            failed = true;
            log.error("Agent {} stops: {}", agentId(), e.toString());
        } catch (Throwable e) {
            failed = true;
            log.error("Agent {} stops", agentId(), e);
        } finally {
            draining.countDown();
            ended.countDown();
            slots.stop();
            results.stop();
            leaveGroup();
            if (!fenced) {
                deregister();
            }
            closeProducer();
        }
    }

    private void leaveGroup() {
        try {
            consumer.close(CloseOptions.timeout(CLOSE_TIMEOUT));
        } catch (RuntimeException e) {
            log.warn("Agent {} did not stop cleanly: {}", agentId(), e.toString());
        }
    }

    /**
     * Closes the producer on a separate thread: with a broker that accepts connections but never answers, close exceeds its
     * timeout.
     */
    private void closeProducer() {
        Thread closing = new Thread(() -> producer.close(CLOSE_TIMEOUT), "closing-" + agentId());
        closing.setDaemon(true);
        closing.start();
        try {
            closing.join(CLOSE_TIMEOUT.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void deregister() {
        try {
            heartbeatThread.join(TimeUnit.SECONDS.toMillis(1));
            // While Kafka is unavailable, the last heartbeat is still queued; another would wait as long.
            if (!heartbeatThread.isAlive() && heartbeatDelivered) {
                send(AgentStatus.INACTIVE);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits for the agent's topic, which a coordinator creates on the first heartbeat. */
    private boolean awaitTopic() {
        while (draining.getCount() > 0) {
            try {
                if (!consumer.partitionsFor(topic(), Duration.ofSeconds(2)).isEmpty()) {
                    return true;
                }
            } catch (RetriableException e) {
                warn("is waiting for Kafka at " + servers(), e);
            }
            pause();
        }
        return false;
    }

    private void pause() {
        try {
            draining.await(RETRY_INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            draining.countDown();
        }
    }

    private void round() {
        try {
            // Continues to poll when all slots are taken, because cancellations arrive on the same topic.
            if (slots.waitingBytes() < MAX_WAITING_BYTES) {
                consumer.resume(consumer.paused());
            } else {
                consumer.pause(consumer.assignment());
            }
            for (ConsumerRecord<String, byte[]> record : consumer.poll(POLL)) {
                take(record);
            }
            commitReported();
        } catch (RetriableException e) {
            warn("could not read its topic, retrying", e);
            pause();
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
            log.warn(
                    "Skipped a record that is not an assignment, at offset {} of {}: {}",
                    record.offset(),
                    record.topic(),
                    e.getMessage());
            offsets.reported(record.offset());
            return;
        }
        Run run = runs.get(assignment.assignmentId());
        if (run != null && run.offset == record.offset()) {
            // Re-read after a temporary loss of the partition: still in flight.
            return;
        }
        if (run != null || isCancelled(assignment) || !seen.add(grant(assignment))) {
            log.atDebug()
                    .addKeyValue("task_id", assignment.taskId())
                    .log("Dropped {}: duplicate or cancelled", assignment.assignmentId());
            offsets.reported(record.offset());
            return;
        }
        run = new Run(assignment, record.offset(), record.headers().lastHeader(TaskHeaders.TRACEPARENT));
        runs.put(assignment.assignmentId(), run);
        slots.run(run, record.serializedValueSize() + ASSIGNMENT_OVERHEAD_BYTES);
    }

    private boolean isCancelled(Assignment assignment) {
        Cancellation cancellation = cancelled.get(assignment.assignmentId());
        return cancellation != null && cancellation.appliesTo(assignment);
    }

    /**
     * Identifies an assignment across redeliveries. A task that is resubmitted after its state was removed has the same assignment ids as
     * before, but another assignment time.
     */
    private static String grant(Assignment assignment) {
        return assignment.assignmentId() + " " + assignment.assignedAt();
    }

    /** Compares by Kafka's clock, because this machine's may be wrong. */
    private boolean overdue(Assignment assignment) {
        return assignment.deadline().isBefore(kafkaClock.now());
    }

    /** An assignment from the time it is read until its result is acknowledged. */
    private final class Run implements Runnable {
        final Assignment assignment;
        final long offset;
        private final @Nullable Header trace;
        private volatile Instant deadline;
        private @Nullable Thread thread;
        private boolean cancelled;

        Run(Assignment assignment, long offset, @Nullable Header trace) {
            this.assignment = assignment;
            this.offset = offset;
            this.trace = trace;
            this.deadline = assignment.deadline();
        }

        @Override
        public void run() {
            try {
                boolean started = tryStart();
                TaskResult result = !started ? null : overdue(assignment) ? expired() : outcome();
                if (finish() || !started) {
                    finishedRuns.add(this);
                } else if (result != null) {
                    results.send(result, trace, deadline, () -> finishedRuns.add(this));
                }
            } catch (Throwable e) {
                // Frees the slot on any failure; the coordinator acts on the deadline.
                log.atError()
                        .setCause(e)
                        .addKeyValue("task_id", assignment.taskId())
                        .log("Gave up on {}", assignment.assignmentId());
                finishedRuns.add(this);
            }
        }

        /**
         * Reports the attempt as failed, because an offset must not be committed without a report. The coordinator requeues an overdue
         * attempt by itself, but only while Redis has it: an emptied Redis is rebuilt from the assignments that agents have not committed.
         */
        private TaskResult expired() {
            String reason = "the deadline had passed before the attempt could start";
            log.atInfo().addKeyValue("task_id", assignment.taskId()).log("Attempt not started: {}", reason);
            deadline = kafkaClock.now().plusSeconds(assignment.timeoutSeconds());
            return TaskResult.of(assignment, TaskResult.Status.FAILED, null, Json.tree(reason), null, null);
        }

        /** Returns null when the agent stops; the coordinator then reassigns the task. */
        private @Nullable TaskResult outcome() {
            Instant startedAt = kafkaClock.now();
            try {
                JsonNode value = handler.handle(assignment, soFar -> progress(soFar, startedAt));
                return TaskResult.of(assignment, TaskResult.Status.COMPLETED, value, null, startedAt, kafkaClock.now());
            } catch (Handler.RejectedException e) {
                return unsuccessful(TaskResult.Status.REJECTED, e, startedAt);
            } catch (Throwable e) {
                if (slots.isStopped()) {
                    return null;
                }
                TaskResult result = unsuccessful(TaskResult.Status.FAILED, e, startedAt);
                log.atInfo().addKeyValue("task_id", assignment.taskId()).log("Attempt failed: {}", reason(e));
                return result;
            }
        }

        private void progress(JsonNode soFar, Instant startedAt) {
            results.sendProgress(
                    TaskResult.of(assignment, TaskResult.Status.PROGRESS, soFar, null, startedAt, null),
                    trace,
                    () -> deadline = kafkaClock.now().plusSeconds(assignment.timeoutSeconds()));
        }

        private TaskResult unsuccessful(TaskResult.Status status, Throwable e, Instant startedAt) {
            TaskResult result =
                    TaskResult.of(assignment, status, null, Json.tree(reason(e)), startedAt, kafkaClock.now());
            if (e instanceof Handler.PermanentFailureException) {
                return result.notRetryable();
            }
            return e instanceof Handler.RetryLaterException later ? result.retryAfter(later.delay()) : result;
        }

        /** Returns false if the attempt was cancelled before it started. */
        private synchronized boolean tryStart() {
            thread = Thread.currentThread();
            return !cancelled;
        }

        /** Returns whether the attempt was cancelled; later cancellations have no effect. */
        private synchronized boolean finish() {
            thread = null;
            if (!slots.isStopped()) {
                // An interrupt sent to the handler, or set by it, must not affect sending the result.
                Thread.interrupted();
            }
            return cancelled;
        }

        synchronized void cancel() {
            cancelled = true;
            if (thread != null) {
                thread.interrupt();
            }
        }
    }

    private static String reason(Throwable e) {
        try {
            return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        } catch (RuntimeException unspeakable) {
            return e.getClass().getSimpleName();
        }
    }

    private void cancel(JsonNode message) {
        if (!Cancellation.TYPE.equals(message.get("type").asString(""))) {
            log.debug("Ignored a message from a later version");
            return;
        }
        Cancellation cancellation = Json.read(message, Cancellation.class);
        // In case the assignment arrives later.
        cancelled.put(cancellation.assignmentId(), cancellation);
        Run run = runs.get(cancellation.assignmentId());
        if (run != null) {
            log.atInfo()
                    .addKeyValue("task_id", cancellation.taskId())
                    .log("Cancelled: {}", cancellation.assignmentId());
            run.cancel();
            if (slots.withdraw(run)) {
                finishedRuns.add(run);
            }
        }
    }

    private void commitReported() {
        for (Run run = finishedRuns.poll(); run != null; run = finishedRuns.poll()) {
            runs.remove(run.assignment.assignmentId());
            offsets.reported(run.offset);
        }
        long commit = offsets.toCommit();
        if (commit >= 0) {
            consumer.commitAsync(Map.of(partition(), new OffsetAndMetadata(commit)), (committed, failure) -> {
                if (failure != null) {
                    offsets.commitFailed();
                    warn("could not commit offsets, retrying", failure);
                }
            });
        }
    }

    /** Logs at most one warning a minute, regardless of the cause. */
    private void warn(String what, Exception failure) {
        if (System.nanoTime() - lastWarningAt >= WARN_INTERVAL_NANOS) {
            lastWarningAt = System.nanoTime();
            log.warn("Agent {} {}: {}", agentId(), what, failure.toString());
        }
    }

    private boolean drained() {
        if (draining.getCount() > 0) {
            return false;
        }
        long now = System.nanoTime();
        if (!isDraining) {
            isDraining = true;
            drainStartedAt = now;
            busyAt = now;
        }
        if (offsets.size() > 0) {
            busyAt = now;
        }
        return now - drainStartedAt > drainTimeout.toNanos() || now - busyAt > QUIET_PERIOD.toNanos();
    }

    private @Nullable Object servers() {
        return readerConfig.get(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG);
    }

    private String topic() {
        return topics.assignments(agentId());
    }

    private TopicPartition partition() {
        return new TopicPartition(topic(), 0);
    }

    /** Reads the latest assignments before the committed offset, so that duplicates after a restart are recognised. */
    private final class StartAfterLastCommit implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            commitReported();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            offsets.forget();
            while (draining.getCount() > 0) {
                try {
                    lookBack();
                    return;
                } catch (RetriableException e) {
                    // Without earlier assignments, a duplicate would run twice.
                    warn("could not read its earlier assignments, retrying", e);
                    pause();
                }
            }
        }

        private void lookBack() {
            long start = consumer.position(partition());
            long from = Math.max(
                    start - LOOK_BACK,
                    consumer.beginningOffsets(List.of(partition())).getOrDefault(partition(), 0L));
            if (from >= start) {
                return;
            }
            try (KafkaConsumer<String, byte[]> reader =
                    new KafkaConsumer<>(readerConfig, new StringDeserializer(), new ByteArrayDeserializer())) {
                reader.assign(List.of(partition()));
                reader.seek(partition(), from);
                long began = System.nanoTime();
                while (reader.position(partition()) < start
                        && System.nanoTime() - began < LOOK_BACK_TIMEOUT.toNanos()) {
                    for (ConsumerRecord<String, byte[]> record : reader.poll(POLL)) {
                        remember(record, start);
                    }
                }
            }
        }

        private void remember(ConsumerRecord<String, byte[]> record, long start) {
            if (record.offset() < start && record.value() != null) {
                try {
                    seen.add(grant(Json.read(record.value(), Assignment.class)));
                } catch (Json.MalformedMessageException e) {
                    log.trace("Not an assignment; already logged when first read");
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
        // Static membership: a restarted agent resumes immediately, and of two with the same id the later one wins.
        config.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, registration.agentId());
        config.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, Math.min(500, registration.capacity()));
        return config;
    }

    private static Map<String, Object> producerConfig(Builder builder) {
        Map<String, Object> config = clientConfig(builder);
        config.put(ProducerConfig.ACKS_CONFIG, "all");
        config.put(ProducerConfig.LINGER_MS_CONFIG, 5);
        config.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, MAX_RECORD_BYTES);
        // Results retries what the producer gives up on. Without these limits, a batch for a missing partition would
        // be retried forever, and a missing topic would block the handler's thread.
        config.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, 10_000);
        return config;
    }

    private static Map<String, Object> clientConfig(Builder builder) {
        Map<String, Object> config = new HashMap<>(builder.kafka);
        config.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, builder.bootstrapServers);
        config.put(CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG, 1_000);
        return config;
    }

    /** Configures an agent. Every setting has a default. */
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

        /** Topic names; must match the coordinators' configuration. */
        public Builder topics(Topics topics) {
            this.topics = topics;
            return this;
        }

        /** Heartbeat interval, 10 s by default. Coordinators expect a heartbeat every 30 s. */
        public Builder heartbeatInterval(Duration interval) {
            if (interval.isNegative() || interval.isZero()) {
                throw new IllegalArgumentException("the heartbeat interval must be positive");
            }
            this.heartbeatInterval = interval;
            return this;
        }

        /** Maximum time that {@link AgentWorker#close} waits for running tasks; 30 s by default. */
        public Builder drainTimeout(Duration timeout) {
            if (timeout.isNegative()) {
                throw new IllegalArgumentException("the drain timeout must not be negative");
            }
            this.drainTimeout = timeout;
            return this;
        }

        /** Clock used until Kafka's time is known; the system clock by default. It may be wrong. */
        public Builder clock(Clock clock) {
            this.clock = clock;
            return this;
        }

        /** Additional Kafka client settings, such as those for security. */
        public Builder kafka(Properties properties) {
            Map<String, Object> settings = new HashMap<>();
            properties.stringPropertyNames().forEach(name -> settings.put(name, properties.getProperty(name)));
            this.kafka = settings;
            return this;
        }

        public AgentWorker start() {
            AgentWorker worker = new AgentWorker(this);
            worker.heartbeatThread.setDaemon(true);
            worker.heartbeatThread.start();
            worker.consumerThread.start();
            return worker;
        }
    }
}

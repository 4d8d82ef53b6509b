package io.aitbc.worker;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Reads an agent's topic: starts each assignment once, applies cancellations, and commits an offset only once everything before it is
 * reported. Owned by one thread.
 */
final class AssignmentConsumer {
    private static final Logger log = LoggerFactory.getLogger(AssignmentConsumer.class);
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration RETRY_INTERVAL = Duration.ofMillis(500);
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(3);

    /** Bytes of assignments waiting for a slot at which consumption pauses. Not reached while coordinators respect the capacity. */
    private static final long MAX_WAITING_BYTES = 32 * 1024 * 1024;

    /** Memory footprint of an assignment in addition to its record. */
    private static final int ASSIGNMENT_OVERHEAD_BYTES = 1024;

    private static final long WARN_INTERVAL_NANOS = TimeUnit.MINUTES.toNanos(1);

    /** Records before the last commit that are scanned at startup to recognise duplicate assignments. */
    private static final long LOOK_BACK = 2_000;

    private static final Duration LOOK_BACK_TIMEOUT = Duration.ofSeconds(10);

    /** Creates an attempt for a new assignment. */
    interface Attempts {
        Attempt begin(Assignment assignment, ConsumerRecord<String, byte[]> record);
    }

    private final String agentId;
    private final TopicPartition partition;
    private final KafkaSettings settings;
    private final Attempts attempts;
    private final Slots slots;
    private final CountDownLatch draining;
    private final KafkaConsumer<String, byte[]> consumer;
    private final OpenOffsets offsets = new OpenOffsets();
    private final RecentIds seen = new RecentIds();
    private final ConcurrentLinkedQueue<Attempt> finished = new ConcurrentLinkedQueue<>();
    /** By assignment id. Bounded: the oldest entries are dropped. */
    private final Map<String, Cancellation> cancelled = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Cancellation> eldest) {
            return size() > RecentIds.CAPACITY;
        }
    };

    /** In-flight assignments by id: waiting, running, or being reported. */
    private final Map<String, Attempt> inFlight = new HashMap<>();

    private long lastWarningAt = System.nanoTime() - WARN_INTERVAL_NANOS;

    /** @param draining counted down when the agent accepts no more tasks */
    AssignmentConsumer(
            String agentId,
            int capacity,
            Topics topics,
            KafkaSettings settings,
            Attempts attempts,
            Slots slots,
            CountDownLatch draining) {
        this.agentId = agentId;
        this.partition = new TopicPartition(topics.assignments(agentId), 0);
        this.settings = settings;
        this.attempts = attempts;
        this.slots = slots;
        this.draining = draining;
        this.consumer = new KafkaConsumer<>(
                settings.member(topics, agentId, capacity), new StringDeserializer(), new ByteArrayDeserializer());
    }

    /** Waits for the agent's topic, which a coordinator creates on the first heartbeat; false if the agent ends before. */
    boolean subscribe() {
        while (draining.getCount() > 0) {
            try {
                if (!consumer.partitionsFor(partition.topic(), Duration.ofSeconds(2))
                        .isEmpty()) {
                    consumer.subscribe(List.of(partition.topic()), new StartAfterLastCommit());
                    return true;
                }
            } catch (RetriableException e) {
                warn("is waiting for Kafka at " + settings.bootstrapServers(), e);
            }
            pause();
        }
        return false;
    }

    /** Reads once, and commits what is reported. */
    void poll() {
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

    /** Whether an assignment is in flight. */
    boolean isBusy() {
        return offsets.size() > 0;
    }

    /**
     * Interrupts the running handlers.
     *
     * @param giveBack whether their tasks are to go to other agents
     */
    void stopHandlers(boolean giveBack) {
        inFlight.values().forEach(attempt -> attempt.stop(giveBack));
    }

    /** Records that an attempt is reported or needs no report. Called on any thread. */
    void finished(Attempt attempt) {
        finished.add(attempt);
    }

    /** Leaves the group, after a last commit. */
    void close() {
        try {
            commitReported();
            consumer.close(CloseOptions.timeout(CLOSE_TIMEOUT));
        } catch (RuntimeException e) {
            log.warn("Agent {} did not stop cleanly: {}", agentId, e.toString());
        }
    }

    private void pause() {
        try {
            draining.await(RETRY_INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            draining.countDown();
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
        Attempt attempt = inFlight.get(assignment.assignmentId());
        if (attempt != null && attempt.offset == record.offset()) {
            // Re-read after a temporary loss of the partition: still in flight.
            return;
        }
        if (attempt != null || isCancelled(assignment) || !seen.add(grant(assignment))) {
            log.atDebug()
                    .addKeyValue("task_id", assignment.taskId())
                    .log("Dropped {}: duplicate or cancelled", assignment.assignmentId());
            offsets.reported(record.offset());
            return;
        }
        attempt = attempts.begin(assignment, record);
        inFlight.put(assignment.assignmentId(), attempt);
        slots.run(attempt, record.serializedValueSize() + ASSIGNMENT_OVERHEAD_BYTES);
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

    private void cancel(JsonNode message) {
        if (!Cancellation.TYPE.equals(message.get("type").asString(""))) {
            log.debug("Ignored a message from a later version");
            return;
        }
        Cancellation cancellation = Json.read(message, Cancellation.class);
        // In case the assignment arrives later.
        cancelled.put(cancellation.assignmentId(), cancellation);
        Attempt attempt = inFlight.get(cancellation.assignmentId());
        if (attempt != null) {
            log.atInfo()
                    .addKeyValue("task_id", cancellation.taskId())
                    .log("Cancelled: {}", cancellation.assignmentId());
            attempt.cancel();
            if (slots.withdraw(attempt)) {
                finished.add(attempt);
            }
        }
    }

    private void commitReported() {
        for (Attempt attempt = finished.poll(); attempt != null; attempt = finished.poll()) {
            inFlight.remove(attempt.assignment.assignmentId());
            offsets.reported(attempt.offset);
        }
        long commit = offsets.toCommit();
        if (commit >= 0) {
            consumer.commitAsync(Map.of(partition, new OffsetAndMetadata(commit)), (committed, failure) -> {
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
            log.warn("Agent {} {}: {}", agentId, what, failure.toString());
        }
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
            long start = consumer.position(partition);
            long from = Math.max(
                    start - LOOK_BACK,
                    consumer.beginningOffsets(List.of(partition)).getOrDefault(partition, 0L));
            if (from >= start) {
                return;
            }
            try (KafkaConsumer<String, byte[]> reader =
                    new KafkaConsumer<>(settings.reader(), new StringDeserializer(), new ByteArrayDeserializer())) {
                reader.assign(List.of(partition));
                reader.seek(partition, from);
                long began = System.nanoTime();
                while (reader.position(partition) < start && System.nanoTime() - began < LOOK_BACK_TIMEOUT.toNanos()) {
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
}

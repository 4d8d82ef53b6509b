package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.TaskSummary;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.trace.TraceHeader;
import java.time.Instant;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** Parses tasks from records of {@code tasks.*}. */
public final class TaskRecords {
    /** Allows for the fields that a coordinator adds when it appends a task of maximum size again. */
    private static final int ROOM_FOR_RETRY_FIELDS = 4_096;

    private final Topics topics;
    private final int maxBytes;
    /** Used by the one thread that reads summaries. */
    private final TaskScanner scanner = new TaskScanner();

    public TaskRecords(Topics topics, int maxBytes) {
        this.topics = topics;
        this.maxBytes = maxBytes;
    }

    public Position position(ConsumerRecord<byte[], byte[]> record) {
        return new Position(topics.priorityOf(record.topic()), record.partition(), record.offset());
    }

    /** Whether a record of this size is accepted, not dead-lettered. */
    public boolean accepts(int bytes) {
        return bytes <= maxBytes + ROOM_FOR_RETRY_FIELDS;
    }

    public Priority priority(TopicPartition partition) {
        return topics.priorityOf(partition.topic());
    }

    /** @throws PoisonException if the record holds no task */
    public WaitingTask read(ConsumerRecord<byte[], byte[]> record) throws PoisonException {
        return read(record, position(record));
    }

    /** @throws PoisonException if the record at this position holds no task */
    public WaitingTask read(ConsumerRecord<byte[], byte[]> record, Position position) throws PoisonException {
        checkSize(record);
        try {
            Task task = Json.read(record.value(), Task.class);
            Instant since = waitingSince(task.submittedAt(), record);
            String id = task.taskId() == null ? TaskIds.of(position, record.timestamp()) : task.taskId();
            return new WaitingTask(
                    task.accepted(id, since), position, since, record.value().length, TraceHeader.of(record));
        } catch (Json.MalformedMessageException e) {
            throw new PoisonException("malformed", String.valueOf(e.getMessage()));
        }
    }

    /**
     * Reads only what determines a task's turn. Whether the rest is valid shows when the record is read again. Call on one thread only.
     *
     * @param taskType whether that of its data is needed, which takes a parser
     * @throws PoisonException if the record is not an object of JSON, or its requirements or times are not valid
     */
    public TaskSummary summary(ConsumerRecord<byte[], byte[]> record, Position position, boolean taskType)
            throws PoisonException {
        checkSize(record);
        TaskScanner.Scanned scanned = taskType ? null : scanner.scan(record.value());
        return scanned == null
                ? TaskSummary.of(read(record, position), taskType)
                : new TaskSummary(
                        position,
                        scanned.taskId().hashCode(),
                        scanned.requirements(),
                        scanned.uses(),
                        null,
                        scanned.fairnessKey(),
                        waitingSince(scanned.submittedAt(), record),
                        scanned.notBefore(),
                        scanned.expiresAt());
    }

    private void checkSize(ConsumerRecord<byte[], byte[]> record) throws PoisonException {
        if (record.value() == null) {
            throw new PoisonException("malformed", "the record has no value");
        }
        if (!accepts(record.value().length)) {
            throw new PoisonException(
                    "oversized", "the task has " + record.value().length + " bytes, more than " + maxBytes);
        }
    }

    private static Instant waitingSince(@Nullable Instant submitted, ConsumerRecord<byte[], byte[]> record) {
        Instant received = Instant.ofEpochMilli(record.timestamp());
        return submitted != null && isCredible(submitted, received) ? submitted : received;
    }

    /**
     * Whether an acceptance time is plausible: neither after the record's timestamp nor before 1970. Producers can set it, and it
     * determines the order within a queue, and aging.
     */
    private static boolean isCredible(Instant submittedAt, Instant received) {
        return !submittedAt.isAfter(received) && !submittedAt.isBefore(Instant.EPOCH);
    }

    /** A poison record, with the reason as one word and as a sentence. */
    public static final class PoisonException extends Exception {
        private final String reason;

        public PoisonException(String reason, String detail) {
            super(detail, null, false, false);
            this.reason = reason;
        }

        public String reason() {
            return reason;
        }
    }
}

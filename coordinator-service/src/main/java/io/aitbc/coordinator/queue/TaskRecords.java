package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.trace.TraceHeader;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** Parses tasks from records of {@code tasks.*}. */
public final class TaskRecords {
    /** Allows for the fields that a coordinator adds when it appends a task of maximum size again. */
    private static final int ROOM_FOR_RETRY_FIELDS = 4_096;

    private static final Pattern OFFSET = Pattern.compile("[0-9]{1,18}");

    private final Topics topics;
    private final int maxBytes;

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

    /** @throws PoisonException if the record holds no task */
    public WaitingTask read(ConsumerRecord<byte[], byte[]> record) throws PoisonException {
        Position position = position(record);
        if (record.value() == null) {
            throw new PoisonException("malformed", "the record has no value");
        }
        if (!accepts(record.value().length)) {
            throw new PoisonException(
                    "oversized", "the task has " + record.value().length + " bytes, more than " + maxBytes);
        }
        try {
            Task task = Json.read(record.value(), Task.class);
            Instant received = Instant.ofEpochMilli(record.timestamp());
            Instant submitted = task.submittedAt();
            Instant since = submitted != null && isCredible(submitted, received) ? submitted : received;
            String id = task.taskId() == null ? TaskIds.of(position, record.timestamp()) : task.taskId();
            return new WaitingTask(
                    task.accepted(id, since),
                    position,
                    origin(record),
                    since,
                    record.value().length,
                    TraceHeader.of(record));
        } catch (Json.MalformedMessageException e) {
            throw new PoisonException("malformed", String.valueOf(e.getMessage()));
        }
    }

    /**
     * Whether an acceptance time is plausible: neither after the record's timestamp nor before 1970. Producers can set it, and it
     * determines the order within a queue, and aging.
     */
    private static boolean isCredible(Instant submittedAt, Instant received) {
        return !submittedAt.isAfter(received) && !submittedAt.isBefore(Instant.EPOCH);
    }

    private static long origin(ConsumerRecord<byte[], byte[]> record) throws PoisonException {
        Header header = record.headers().lastHeader(TaskHeaders.ORIGIN_OFFSET);
        if (header == null) {
            return record.offset();
        }
        String text = header.value() == null ? "" : new String(header.value(), StandardCharsets.US_ASCII);
        if (!OFFSET.matcher(text).matches()) {
            throw new PoisonException("malformed", "the header " + TaskHeaders.ORIGIN_OFFSET + " must be an offset");
        }
        // A larger offset is from before the topic was copied.
        return Math.min(Long.parseLong(text), record.offset());
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

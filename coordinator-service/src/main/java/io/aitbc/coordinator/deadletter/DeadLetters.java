package io.aitbc.coordinator.deadletter;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.trace.TraceHeader;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Publishes records and tasks to {@code tasks.dead-letter}, with the reason in the headers. */
public final class DeadLetters {
    private static final Logger log = LoggerFactory.getLogger(DeadLetters.class);

    private static final int MAX_TEXT_LENGTH = 1_000;
    private static final String EXHAUSTED = "attempts_exhausted";
    private static final String NOT_RETRYABLE = "not_retryable";
    private static final String OVER_LIMIT = "over_limit";
    private static final String PAYLOAD_LOST = "payload_lost";
    private static final String RECORD_LOST = "record_lost";
    /** The reasons whose letter has the task as its value. */
    private static final Set<String> WITH_TASK = Set.of(EXHAUSTED, NOT_RETRYABLE, OVER_LIMIT);

    private static final Set<String> REASONS =
            Set.of("malformed", "forged", "oversized", EXHAUSTED, NOT_RETRYABLE, OVER_LIMIT, PAYLOAD_LOST, RECORD_LOST);

    private final Producer<String, byte[]> producer;
    private final Topics topics;
    private final Map<String, Counter> counters;

    private final ThrottledWarning poison = new ThrottledWarning(log, "{} records dead-lettered: {}");

    public DeadLetters(Producer<String, byte[]> producer, Topics topics, MeterRegistry meters) {
        this.counters = REASONS.stream()
                .collect(Collectors.toMap(
                        reason -> reason,
                        reason -> Counter.builder("coordinator.dead.letters")
                                .description("Records published to the dead-letter topic")
                                .tag("reason", reason)
                                .register(meters)));
        this.producer = producer;
        this.topics = topics;
    }

    /** Dead-letters a record that does not belong in its topic. */
    public CompletableFuture<Void> poison(ConsumerRecord<byte[], byte[]> record, String reason, String detail) {
        poison.add(record.topic() + "-" + record.partition() + "@" + record.offset() + " (" + detail + ")");
        byte[] value = record.value() == null ? new byte[0] : record.value();
        boolean cut = value.length > DeadLetterHeaders.TRUNCATED_BYTES;
        ProducerRecord<String, byte[]> letter = letter(
                record.key() == null ? null : new String(record.key(), StandardCharsets.UTF_8),
                cut ? Arrays.copyOf(value, DeadLetterHeaders.TRUNCATED_BYTES) : value,
                reason,
                detail);
        header(letter, DeadLetterHeaders.TOPIC, record.topic());
        header(letter, DeadLetterHeaders.PARTITION, String.valueOf(record.partition()));
        header(letter, DeadLetterHeaders.OFFSET, String.valueOf(record.offset()));
        if (cut) {
            header(letter, DeadLetterHeaders.ORIGINAL_SIZE, String.valueOf(value.length));
        }
        return send(letter, reason);
    }

    /** Logs the records dead-lettered since the last line, unless that is too recent. Must be called periodically. */
    public void flushWarnings(Instant now) {
        poison.flush(now);
    }

    /** Dead-letters a task that has exhausted its attempts. */
    public CompletableFuture<Void> exhausted(Task task, Priority priority, String detail, @Nullable String trace) {
        return failed(task, priority, EXHAUSTED, detail, trace);
    }

    /** Dead-letters a task whose agent reported that a retry cannot help. */
    public CompletableFuture<Void> notRetryable(Task task, Priority priority, String detail, @Nullable String trace) {
        return failed(task, priority, NOT_RETRYABLE, detail, trace);
    }

    /** Dead-letters a task that waited, and that uses more than a limit can ever give. */
    public CompletableFuture<Void> overLimit(Task task, Priority priority, String detail, @Nullable String trace) {
        return failed(task, priority, OVER_LIMIT, detail, trace);
    }

    private CompletableFuture<Void> failed(
            Task task, Priority priority, String reason, String detail, @Nullable String trace) {
        log.atInfo().addKeyValue("task_id", task.taskId()).log("Task failed permanently: {}", detail);
        ProducerRecord<String, byte[]> letter = letter(task.id(), Json.bytes(task), reason, detail);
        header(letter, DeadLetterHeaders.PRIORITY, priority.wireName());
        TraceHeader.add(letter, trace);
        return send(letter, reason);
    }

    /**
     * Records that a task failed because its payload is lost.
     *
     * @param topic the agent's topic that held its assignment
     */
    public CompletableFuture<Void> payloadLost(String taskId, String topic) {
        String detail = "the task cannot be retried: its assignment is no longer in " + topic
                + ", and its record is no longer in its queue";
        log.atError().addKeyValue("task_id", taskId).log("Task failed permanently: {}", detail);
        return send(letter(taskId, new byte[0], PAYLOAD_LOST, detail), PAYLOAD_LOST);
    }

    /**
     * Reports a task whose record was deleted from its queue before the task was assigned.
     *
     * @param detail the reason, as a sentence
     */
    public CompletableFuture<Void> recordLost(String taskId, String detail) {
        log.atError().addKeyValue("task_id", taskId).log("Task failed permanently: {}", detail);
        return send(letter(taskId, new byte[0], RECORD_LOST, detail), RECORD_LOST);
    }

    /** Whether a dead letter reports a permanently failed task, not a malformed record. */
    static boolean isOfFailedTask(ConsumerRecord<byte[], byte[]> letter) {
        String reason = reason(letter);
        return reason.equals(PAYLOAD_LOST) || reason.equals(RECORD_LOST) || WITH_TASK.contains(reason);
    }

    /**
     * Whether a dead letter reports that a task has failed permanently, in a given attempt or a later one. The letter of a lost payload
     * does not name its attempt, and always counts.
     */
    public static boolean isOfAttempt(ConsumerRecord<byte[], byte[]> letter, Assignment attempt) {
        if (!WITH_TASK.contains(reason(letter))) {
            return isOfFailedTask(letter);
        }
        try {
            return Json.read(letter.value() == null ? new byte[0] : letter.value(), Task.class)
                            .attempt()
                    >= attempt.attempt();
        } catch (Json.MalformedMessageException e) {
            log.atDebug().addKeyValue("offset", letter.offset()).log("Dead letter is not a task: {}", e.getMessage());
            return false;
        }
    }

    private static String reason(ConsumerRecord<byte[], byte[]> letter) {
        Header header = letter.headers().lastHeader(DeadLetterHeaders.REASON);
        return header == null || header.value() == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
    }

    private CompletableFuture<Void> send(ProducerRecord<String, byte[]> letter, String reason) {
        return KafkaClients.send(producer, letter)
                .thenRun(() -> Objects.requireNonNull(counters.get(reason)).increment());
    }

    private ProducerRecord<String, byte[]> letter(@Nullable String key, byte[] value, String reason, String detail) {
        ProducerRecord<String, byte[]> letter =
                new ProducerRecord<>(topics.deadLetter(), key == null ? null : truncated(key), value);
        header(letter, DeadLetterHeaders.REASON, reason);
        header(letter, DeadLetterHeaders.DETAIL, truncated(detail));
        return letter;
    }

    /** Bounds text written by others, which may be of any length. */
    private static String truncated(String text) {
        return text.length() <= MAX_TEXT_LENGTH ? text : text.substring(0, MAX_TEXT_LENGTH) + "…";
    }

    private static void header(ProducerRecord<String, byte[]> letter, String name, String value) {
        letter.headers().add(name, value.getBytes(StandardCharsets.UTF_8));
    }
}

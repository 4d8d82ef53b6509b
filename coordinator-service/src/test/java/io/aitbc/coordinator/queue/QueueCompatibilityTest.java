package io.aitbc.coordinator.queue;

import static io.aitbc.coordinator.Samples.missing;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.Samples;
import io.aitbc.coordinator.deadletter.DeadLetterArchive;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Commits of the group, records on {@code tasks.*} and dead letters, exchanged between coordinators of different versions. */
class QueueCompatibilityTest {
    private static final Topics TOPICS = Topics.unprefixed();
    private static final long OFFSET = 41;
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");
    private static final Task TASK = new Task(
            "task-1",
            Payload.of(Json.object().put("task_type", "echo")),
            null,
            Requirements.capabilities("echo"),
            2,
            30,
            null,
            null,
            NOW,
            2,
            null,
            null,
            null,
            null,
            Map.of(),
            Map.of(),
            Map.of("wish", Json.tree("w")));

    static Stream<Samples> versions() {
        return Samples.versions();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void commitsAreReadAsIntended(Samples version) {
        version.read("commits").forEachEntry((name, commit) -> {
            long[] done = done(commit);
            int told = commit.get("told").asInt();

            OffsetLedger ledger = OffsetLedger.restore(
                    commit.get("committed").asLong(), commit.get("metadata").asString());

            assertThat(ledger.lowestUnfinished())
                    .as(name)
                    .isEqualTo(commit.get("committed").asLong());
            assertThat(OffsetLedger.doneAbove(commit.get("metadata").asString()))
                    .as(name)
                    .isEqualTo(done.length);
            assertThat(LongStream.rangeClosed(
                                    ledger.lowestUnfinished(),
                                    done.length == 0 ? ledger.lowestUnfinished() : done[done.length - 1])
                            .filter(ledger::isDone))
                    .as(name)
                    .containsExactlyElementsOf(
                            LongStream.of(done).limit(told).boxed().toList());
        });
    }

    @ParameterizedTest
    @MethodSource("versions")
    void commitsAreWrittenAsBefore(Samples version) {
        version.read("commits")
                .forEachEntry((name, commit) -> assertThat(ledger(commit).metadata())
                        .as(name)
                        .isEqualTo(commit.get("metadata").asString()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"2:CAFSAQI=", "{\"done\":[7]}", "1:CAFYAQI="})
    void aCommitOfAnUnknownFormatIsIgnored(String metadata) {
        assertThat(OffsetLedger.doneAbove(metadata)).isZero();
        assertThat(OffsetLedger.restore(5, metadata).metadata()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void tasksAreReadAndWrittenAsBefore(Samples version) {
        ObjectNode stored = version.read("task-records");

        stored.forEachEntry((name, record) -> {
            assertThat(read(record)).as(name).isEqualTo(waiting(record));
            header(record, "header-of-tomorrow", "h");
            assertThat(read(record)).as(name).isEqualTo(waiting(record));
        });
        ObjectNode written = version.read("task-records");
        // Coordinators of 0.1 appended blocked tasks again.
        written.remove("put off");
        assertThat(missing(written, taskRecords())).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void deadLettersAreReadAndWrittenAsBefore(Samples version) {
        ObjectNode stored = version.read("dead-letters");

        assertThat(missing(stored, deadLetters())).isEmpty();
        stored.forEachEntry((name, record) -> {
            header(record, "header-of-tomorrow", "h");
            DeadLetterArchive.Letter letter = letter(record);
            assertThat(letter.header(DeadLetterHeaders.REASON)).isEqualTo(name);
            assertThat(letter.header(DeadLetterHeaders.DETAIL)).isNotBlank();
        });
        DeadLetterArchive.Letter exhausted = letter(stored.get("attempts_exhausted"));
        assertThat(Json.read(exhausted.value(), Task.class)).isEqualTo(TASK);
        assertThat(exhausted.header(DeadLetterHeaders.PRIORITY)).isEqualTo("high");
        DeadLetterArchive.Letter oversized = letter(stored.get("oversized"));
        assertThat(oversized.header(DeadLetterHeaders.TOPIC)).isEqualTo("tasks.low");
        assertThat(oversized.header(DeadLetterHeaders.PARTITION)).isEqualTo("3");
        assertThat(oversized.header(DeadLetterHeaders.OFFSET)).isEqualTo("41");
        assertThat(oversized.header(DeadLetterHeaders.ORIGINAL_SIZE)).isEqualTo("2000000");
    }

    /** Returns the offsets of a commit in the order in which they were finished. */
    private static long[] done(JsonNode commit) {
        return commit.get("done")
                .valueStream()
                .flatMapToLong(run -> LongStream.iterate(
                        run.get("from").asLong(),
                        offset -> offset <= run.get("to").asLong(),
                        offset -> offset + run.path("step").asLong(1)))
                .toArray();
    }

    private static OffsetLedger ledger(JsonNode commit) {
        OffsetLedger ledger = new OffsetLedger(commit.get("committed").asLong());
        LongStream.of(done(commit)).forEach(ledger::finished);
        return ledger;
    }

    private static WaitingTask waiting(JsonNode record) {
        Position position = new Position(Priority.HIGH, record.path("partition").asInt(), OFFSET);
        return new WaitingTask(
                TASK, position, NOW, record.get("value").toString().length());
    }

    private static WaitingTask read(JsonNode record) {
        try {
            return new TaskRecords(TOPICS, 1_000_000).read(consumed(record));
        } catch (TaskRecords.PoisonException e) {
            throw new AssertionError(e);
        }
    }

    private static DeadLetterArchive.Letter letter(JsonNode record) {
        ConsumerRecord<byte[], byte[]> consumed = consumed(record);
        return new DeadLetterArchive.Letter(OFFSET, NOW, record.path("key").asString(""), consumed.value(), consumed);
    }

    private static void header(JsonNode record, String name, String value) {
        record.get("headers").asObject().put(name, value);
    }

    private static ConsumerRecord<byte[], byte[]> consumed(JsonNode record) {
        RecordHeaders headers = new RecordHeaders();
        record.get("headers")
                .forEachEntry(
                        (name, value) -> headers.add(name, value.asString().getBytes(StandardCharsets.UTF_8)));
        return new ConsumerRecord<>(
                record.get("topic").asString(),
                record.path("partition").asInt(0),
                OFFSET,
                NOW.toEpochMilli(),
                TimestampType.LOG_APPEND_TIME,
                -1,
                -1,
                record.get("key").asString().getBytes(StandardCharsets.UTF_8),
                record.path("value").toString().getBytes(StandardCharsets.UTF_8),
                headers,
                Optional.empty());
    }

    private static ObjectNode taskRecords() {
        ObjectNode records = Json.object();
        records.set("appended", sent(producer -> new TaskQueue(producer, TOPICS).append(TASK, Priority.HIGH, null)));
        return records;
    }

    private static ObjectNode deadLetters() {
        ObjectNode sent = Json.object();
        sent.set("malformed", letter(letters -> letters.poison(poison(0), "malformed", "the record has no value")));
        sent.set("oversized", letter(letters -> letters.poison(poison(2_000_000), "oversized", "it is too large")));
        sent.set(
                "attempts_exhausted", letter(letters -> letters.exhausted(TASK, Priority.HIGH, "out of memory", null)));
        sent.set("payload_lost", letter(letters -> letters.payloadLost("task-1", "assignments.agent-1")));
        return sent;
    }

    private static ObjectNode letter(Consumer<DeadLetters> write) {
        return sent(producer -> write.accept(new DeadLetters(producer, TOPICS, new SimpleMeterRegistry())));
    }

    private static ConsumerRecord<byte[], byte[]> poison(int size) {
        return new ConsumerRecord<>("tasks.low", 3, OFFSET, "task-1".getBytes(StandardCharsets.UTF_8), new byte[size]);
    }

    /** Returns the record that is sent; a value that is not JSON is omitted. */
    private static ObjectNode sent(Consumer<Producer<String, byte[]>> write) {
        MockProducer<String, byte[]> producer =
                new MockProducer<>(true, null, new StringSerializer(), new ByteArraySerializer());
        write.accept(producer);
        ProducerRecord<String, byte[]> record = producer.history().get(0);
        ObjectNode sent = Json.object().put("topic", record.topic()).put("key", record.key());
        if (record.partition() != null) {
            sent.put("partition", record.partition());
        }
        Map<String, String> headers = new TreeMap<>();
        record.headers()
                .forEach(header -> headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8)));
        sent.set("headers", Json.tree(headers));
        if (record.value().length > 0 && record.value()[0] == '{') {
            sent.set("value", Json.MAPPER.readTree(record.value()));
        }
        return sent;
    }
}

package io.aitbc.coordinator.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.match.TaskSummary;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TaskRecordsTest {
    private final TaskRecords records = new TaskRecords(Topics.unprefixed(), 1_000);

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"task_data\":{}}",
                "{\"task_data\":{\"task_id\":\"inner\"}}",
                "{\"task_id\":\"t\",\"task_data\":{\"a\":[{}]},\"submitted_at\":\"1969-01-01T00:00:00Z\"}",
                "{\"task_id\":\"t\",\"task_data\":{},\"submitted_at\":\"1970-01-01T00:00:00.001Z\",\"attempt\":2}",
                "{\"task_id\":\"t\",\"task_data\":{},\"fairness_key\":\"acme\",\"fairness_weight\":2}",
                "{\"task_id\":\"t\",\"task_data\":{},\"fairness_key\":null}",
                "{\"task_id\":\"t\",\"uses\":{\"a/b\":1,\"c\" : 12},\"task_data\":{}}",
                "{\"task_id\":\"t\",\"uses\":{},\"task_data\":{\"uses\":{\"x\":1}}}",
                "{\"task_id\":\"t\",\"task_data\":{},\"uses\":null}",
                "{\"task_id\":\"t\",\"task_data\":{},\"fairness_key\":\"gr\u00f6\u00dfe\"}",
                "{\"task_id\":\"t\",\"task_data\":{},\"chain_id\":\"c\",\"requirements\":{\"region\":\"eu\"}}",
                "{\"requirements\":{\"capabilities\":[\"a\"],\"x\":1},\"task_id\":\"t\",\"task_data\":{},\"y\":{}}",
                "{\"task_id\":\"t\",\"not_before\":\"2026-11-01T00:00:00Z\",\"expires_at\":\"2027-01-01T00:00:00Z\","
                        + "\"task_data\":{},\"requirements\":null}",
                "{\"task_id\":\"t\",\"task_data\":{},\"not_before\":\"2026-11-01T00:00:00.5+02:00\",\"expires_at\":null}",
                " {\n\"task_id\" :\t\"t\" , \"task_data\": {\"a\" : [ -1.5E+3, true, \"]}\\\"\" ] } }\r\n",
                "{\"task_id\":\"a\",\"task_id\":\"b\",\"requirements\":{\"region\":\"eu\"},\"task_data\":{},\"requirements\":null}",
                "{\"task\\u005fid\":\"t\",\"task_data\":{}}",
                "{\"task_id\":\"a\\u0062\",\"task_data\":{}}",
                "{\"task_id\":\"t\",\"task_data\":{\"\u00fc\":\"\u20ac\"},\"\u00fc\":1}",
                "{\"task_id\":\"t\",\"task_data\":{},\"requirements\":{\"region\":\"\\u0065u\"}}"
            })
    void aSummaryIsThatOfTheTask(String json) throws TaskRecords.PoisonException {
        assertThat(summary(record(json))).isEqualTo(TaskSummary.of(records.read(record(json))));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"task_data\":{}",
                "{\"task_id\":\"t\",\"task_data\":}",
                "{\"task_id\":\"t\",\"task_data\":{},}",
                "{\"task_id\":\"t\",\"task_data\":{\"a\":\"}}",
                "{\"task_id\":\"t\",\"task_data\":{}} x",
                "{\"task_id\":\"t\",\"task_data\":{},\"not_before\":7}",
                "{\"task_id\":\"t\",\"task_data\":{},\"requirements\":[]}",
                "[]",
                "null",
                ""
            })
    void aSummaryRefusesWhatIsNoTask(String json) {
        assertThatThrownBy(() -> records.read(record(json))).isInstanceOf(TaskRecords.PoisonException.class);
        assertThatThrownBy(() -> summary(record(json))).isInstanceOf(TaskRecords.PoisonException.class);
    }

    /** The parser detects the encoding, and then knows no offsets: such a record must not stop its lane. */
    @ParameterizedTest
    @ValueSource(strings = {"UTF-16BE", "UTF-16LE", "UTF-32BE", "UTF-32LE"})
    void aSummaryIsThatOfTheTaskInAnyEncoding(String encoding) throws Exception {
        byte[] json = "{\"task_id\":\"t\",\"requirements\":{\"region\":\"eu\"},\"task_data\":{}}".getBytes(encoding);
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("tasks.low", 0, 7, null, json);

        assertThat(summary(record)).isEqualTo(TaskSummary.of(records.read(record)));
    }

    /** Of a valid task, the summary is always the parser's. An invalid one may get a summary, and is found out when it is read again. */
    @Test
    void aSummaryOfAnyTaskIsThatOfTheTask() {
        List<String> tasks = List.of(
                "{\"task_id\":\"task-1\",\"requirements\":{\"capabilities\":[\"a\"]},\"task_data\":{\"a\":[1,{\"b\":null}]},\"fairness_key\":\"k\"}",
                "{\"task_data\":{\"t\":\"\\\\\\\"\"},\"not_before\":\"2026-11-01T00:00:00Z\",\"chain_id\":null,\"attempt\":2}");
        Random random = new Random(1);
        int read = 0;
        for (int i = 0; i < 30_000; i++) {
            byte[] json = tasks.get(i % tasks.size()).getBytes(StandardCharsets.UTF_8);
            for (int edits = random.nextInt(4); edits > 0; edits--) {
                int to = random.nextInt(json.length);
                // Mostly characters that occur, which leaves more of the documents valid.
                json[to] = random.nextInt(10) == 0 ? (byte) random.nextInt(256) : json[random.nextInt(json.length)];
            }
            ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("tasks.low", 0, 7, null, json);
            TaskSummary expected;
            try {
                expected = TaskSummary.of(records.read(record));
            } catch (TaskRecords.PoisonException e) {
                continue;
            }
            read++;
            assertThatCode(() -> assertThat(summary(record)).isEqualTo(expected))
                    .as(() -> new String(json, StandardCharsets.UTF_8))
                    .doesNotThrowAnyException();
        }
        assertThat(read).isGreaterThan(10_000);
    }

    /** The parser accepts overlong UTF-8 in the name of a field. */
    @ParameterizedTest
    @ValueSource(strings = {"\u00c1\u00b4ask_id", "\u00c1\u00b2equirements", "\u00c1\u00aeot_before"})
    void aSummaryIsThatOfTheTaskHoweverNamesAreEncoded(String name) throws TaskRecords.PoisonException {
        String value = name.endsWith("id") ? "\"b\"" : "null";
        byte[] json = ("{\"task_id\":\"a\",\"task_data\":{},\"requirements\":{\"region\":\"eu\"},\"" + name + "\":"
                        + value + "}")
                .getBytes(StandardCharsets.ISO_8859_1);
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("tasks.low", 0, 7, null, json);

        assertThat(summary(record)).isEqualTo(TaskSummary.of(records.read(record)));
    }

    /** What only the task's agent sees is checked when the record is read again. */
    @ParameterizedTest
    @ValueSource(strings = {"{\"a\":}", "{\"a\":\"line\nline\"}", "{\"a\":[}]", "nul"})
    void aSummaryLeavesInputUnchecked(String input) throws TaskRecords.PoisonException {
        ConsumerRecord<byte[], byte[]> record = record("{\"task_id\":\"t\",\"task_data\":" + input + "}");

        assertThat(summary(record).idHash()).isEqualTo("t".hashCode());
        assertThatThrownBy(() -> records.read(record)).isInstanceOf(TaskRecords.PoisonException.class);
    }

    /** A parser is only needed where an escape could change the turn. */
    @ParameterizedTest
    @ValueSource(strings = {"\\\\", "\\\"}", "\\\\\\\"{"})
    void escapesInTheInputAreSkipped(String text) {
        String json = "{\"task_id\":\"t\",\"task_data\":{\"a\":\"" + text + "\"}}";

        assertThat(new TaskScanner().scan(json.getBytes(StandardCharsets.UTF_8)))
                .isNotNull();
    }

    @Test
    void aSummaryRefusesWhatIsTooLarge() {
        String large = "{\"task_id\":\"t\",\"task_data\":{\"a\":\"" + "x".repeat(6_000) + "\"}}";

        assertThatThrownBy(() -> summary(record(large)))
                .isInstanceOf(TaskRecords.PoisonException.class)
                .hasMessageContaining("more than 1000");
    }

    /** Earlier versions set a header on tasks that they had moved to the tail. */
    @Test
    void unknownHeadersAreIgnored() throws TaskRecords.PoisonException {
        ConsumerRecord<byte[], byte[]> record = record("{\"task_data\":{}}");
        record.headers().add("origin-offset", new byte[] {'x'});

        assertThat(records.read(record).position().offset()).isEqualTo(7);
    }

    private TaskSummary summary(ConsumerRecord<byte[], byte[]> record) throws TaskRecords.PoisonException {
        return records.summary(record, records.position(record), false);
    }

    private static ConsumerRecord<byte[], byte[]> record(String json) {
        return new ConsumerRecord<>("tasks.low", 0, 7, null, json.getBytes(StandardCharsets.UTF_8));
    }
}

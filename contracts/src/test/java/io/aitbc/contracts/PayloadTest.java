package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

class PayloadTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00.120Z");

    private static String assignment(String payload) {
        return assignment(("{\"later\" : [1] , \"task_data\" :" + payload + ", \"task_id\":\"t\"}")
                .getBytes(StandardCharsets.UTF_8));
    }

    private static String assignment(byte[] task) {
        Task read = Json.read(task, Task.class);
        return new String(
                Json.bytes(Assignment.of(read.accepted("t", NOW), Priority.LOW, "a", NOW)), StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{ }",
                "{\"a\": 1.50, \"b\" :[ {} , null, true, -0, 1E+2],\n \"c\":{\"a\":{\"a\":1}}}",
                "{\"text\":\"größe \uD83D\uDE00 \\u00e4 \\n \\\"}\\\"\"}",
                "{\"task_data\":{\"task_id\":\"x\"}}"
            })
    void isPassedOnAsItWasReceived(String payload) {
        assertThat(assignment(payload)).contains("\"task_data\":" + payload + ",\"requirements\":{");
    }

    /** Such as of a task that is longer than the generator's buffer. */
    @Test
    void mayBeLong() {
        String payload = "{\"text\":\"" + "ä".repeat(100_000) + "\"}";
        assertThat(assignment(payload)).contains(payload);
    }

    @ParameterizedTest
    @ValueSource(strings = {"UTF-16BE", "UTF-16LE", "UTF-32BE"})
    void mayBeInAnotherEncodingOfUnicode(Charset charset) {
        assertThat(assignment("{\"task_data\":{\"a\": \"ä\"}}".getBytes(charset)))
                .contains("\"task_data\":{\"a\":\"ä\"}");
    }

    @Test
    void mayFollowAByteOrderMark() {
        assertThat(assignment("\uFEFF{\"task_data\":{\"a\": \"ä\"}}".getBytes(StandardCharsets.UTF_8)))
                .contains("\"task_data\":{\"a\": \"ä\"}");
    }

    /** Written as 1.0E+2147483648, it could not be read again; nor could one of more than 1,000 characters. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void numbersThatCouldNotBeReadAgainAreRefused(int digits) {
        String number = digits == 0 ? "10e2147483647" : "1".repeat(998) + "e1";
        for (String task : List.of("{\"task_data\":{\"a\":[%s]}}", "{\"task_data\":{},\"later\":{\"a\":[%s]}}")) {
            byte[] record = task.formatted(number).getBytes(StandardCharsets.UTF_8);
            assertThatThrownBy(() -> Json.read(record, Task.class))
                    .isInstanceOf(Json.MalformedMessageException.class)
                    .hasMessageEndingWith("a number out of range");
            assertThatThrownBy(() -> Json.read(record, ObjectNode.class))
                    .isInstanceOf(Json.MalformedMessageException.class)
                    .hasMessageEndingWith("number is out of range");
        }
    }

    @Test
    void numbersAtTheLimitAreReadAgain() {
        for (String number : List.of(
                "1e2147483647", "-1e-2147483647", "1.5e2147483647", "1".repeat(985) + "e1", "1".repeat(1_000))) {
            ObjectNode read = Json.read("{\"a\":" + number + "}", ObjectNode.class);
            assertThat(Json.read(Json.text(read), ObjectNode.class)).as(number).isEqualTo(read);
            assertThat(assignment("{\"a\":" + number + "}")).contains(number);
        }
    }

    /** The parser takes an overlong zero for a text. */
    @ParameterizedTest
    @ValueSource(strings = {"C080", "FF", "C3", "EDA080"})
    void mustBeValidUtf8(String bytes) {
        byte[] task = "{\"task_data\":{\"a\":\"ä??????\"}}".getBytes(StandardCharsets.UTF_8);
        byte[] invalid = HexFormat.of().parseHex(bytes);
        System.arraycopy(invalid, 0, task, new String(task, StandardCharsets.ISO_8859_1).indexOf('?'), invalid.length);
        assertThatThrownBy(() -> Json.read(task, Task.class)).isInstanceOf(Json.MalformedMessageException.class);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"a":{"b":1,"c":[{"d":1,"d":2}]}}  | "d" appears twice in task_data
            {"a":[1e2147483648]}               | task_data is a number out of range
            {"a":[10e2147483647]}              | task_data is a number out of range
            {"a":"\\x"}                        | not valid JSON at line 1
            {"a":tru}                          | not valid JSON at line 1
            {"a":1]                            | not valid JSON at line 1
            [1]                                | task_data has the wrong type or form (expected an object)
            null                               | task_data is required
            """)
    void isCheckedThoughItIsNotParsed(String payload, String sentence) {
        assertThatThrownBy(() -> assignment(payload))
                .isInstanceOf(Json.MalformedMessageException.class)
                .hasMessageContaining(sentence);
    }

    @Test
    void isTheSameHoweverItIsWritten() {
        Payload compact = Json.read("{\"task_data\":{\"a\":1}}", Task.class).payload();
        Payload spaced = Json.read("{\"task_data\":{ \"a\" : 1 }}", Task.class).payload();
        assertThat(spaced)
                .isEqualTo(compact)
                .hasSameHashCodeAs(compact)
                .isEqualTo(Payload.of(Json.object().put("a", 1)))
                .isNotEqualTo(Payload.of(Json.object().put("a", 2)));
    }

    /** Where messages are shown, they are trees. */
    @Test
    void isPartOfATree() {
        Task task = Json.read("{\"task_data\":{ \"a\" : 1 }}", Task.class);
        assertThat(Json.tree(task).get("task_data")).hasToString("{\"a\":1}");
        assertThat(Json.text(task)).contains("\"task_data\":{\"a\":1}");
    }

    /** {@link AssignmentWriter} names each field. */
    @Test
    void anAssignmentIsWrittenWithAllItsFields() {
        Assignment full = Assignment.of(
                        new Task(
                                "t",
                                Payload.of(Json.object()),
                                null,
                                Requirements.capabilities("gpu"),
                                2,
                                30,
                                NOW,
                                NOW,
                                NOW,
                                1,
                                "b",
                                null,
                                "tenant",
                                2.5,
                                Map.of("team", "search"),
                                Map.of("openai/gpt-5", 1L),
                                Map.of("later", Json.tree(1))),
                        Priority.LOW,
                        "a",
                        NOW,
                        Map.of("openai/gpt-5", 1L, "tenant/a%20b", 1L))
                .signed("s");
        assertThat(full.task().uses()).containsOnlyKeys("openai/gpt-5");
        List<String> names = Arrays.stream(Assignment.class.getRecordComponents())
                .map(component -> component.getAccessor().getAnnotation(JsonProperty.class))
                .filter(Objects::nonNull)
                .map(JsonProperty::value)
                .toList();
        assertThat(Json.read(Json.bytes(full), ObjectNode.class).propertyNames())
                .containsAll(names)
                .contains("later")
                .hasSize(names.size() + 1);
        assertThat(Json.read(Json.bytes(full), Assignment.class)).isEqualTo(full);
    }
}

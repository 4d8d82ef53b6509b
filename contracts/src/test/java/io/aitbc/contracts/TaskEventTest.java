package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

class TaskEventTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");
    private static final Task TASK =
            Task.of("order-7", Json.object().put("x", 1), Requirements.NONE).accepted("order-7", NOW);

    @Test
    void isACloudEvent() {
        JsonNode json = Json.tree(TaskEvent.assigned(TASK, Priority.HIGH, "gpu-1", NOW));

        assertThat(json.get("specversion").asString()).isEqualTo("1.0");
        assertThat(json.get("id").asString()).isEqualTo("order-7:1:assigned");
        assertThat(json.get("source").asString()).isEqualTo("/agent-coordinator");
        assertThat(json.get("type").asString()).isEqualTo("io.aitbc.task.assigned");
        assertThat(json.get("subject").asString()).isEqualTo("order-7");
        assertThat(json.get("time").asString()).isEqualTo("2026-11-01T12:00:00Z");
        assertThat(json.get("datacontenttype").asString()).isEqualTo("application/json");
        assertThat(json.get("sequence").asString()).isEqualTo("000000130");
        assertThat(json.at("/data/task/task_data/x").asInt()).isEqualTo(1);
        assertThat(json.at("/data/agent_id").asString()).isEqualTo("gpu-1");
    }

    /** Its names are letters and digits in lower case, says CloudEvents. */
    @Test
    void attributesHaveValidNames() {
        assertThat(Json.tree(TaskEvent.accepted(TASK, Priority.LOW)).propertyNames())
                .allMatch(name -> name.matches("[a-z0-9]{1,20}"));
    }

    @Test
    void sequenceOrdersTheEventsOfATaskAsText() {
        List<TaskEvent> inOrder = List.of(
                TaskEvent.accepted(TASK, Priority.LOW),
                TaskEvent.assigned(TASK, Priority.LOW, "a", NOW),
                TaskEvent.failed("order-7", 1, "a", NOW, "failed", Json.tree("e"), TASK.attempt(2, NOW), NOW),
                TaskEvent.assigned(TASK.attempt(2, NOW), Priority.LOW, "a", NOW),
                TaskEvent.failed("order-7", 9, "a", NOW, "failed", Json.tree("e"), null, NOW),
                TaskEvent.redriven("order-7", 10, Priority.LOW, NOW),
                TaskEvent.assigned(TASK.attempt(10, NOW), Priority.LOW, "a", NOW),
                TaskEvent.cancelled("order-7", 10, "a", NOW),
                TaskEvent.expired("order-7", 1_000_000, NOW));

        assertThat(inOrder).extracting(TaskEvent::sequence).isSorted().allMatch(text -> text.length() == 9);
        assertThat(inOrder).extracting(TaskEvent::id).doesNotHaveDuplicates();
    }

    /** A task that completes although its attempt was given up, or although Redis forgot that it had ended, has completed. */
    @Test
    void endsComeAfterEverythingElseOfTheirAttemptAndCompletionIsTheLast() {
        assertThat(Stream.of(TaskEvent.Kind.values()).filter(TaskEvent.Kind::isEnd))
                .containsExactly(
                        TaskEvent.Kind.FAILED,
                        TaskEvent.Kind.CANCELLED,
                        TaskEvent.Kind.EXPIRED,
                        TaskEvent.Kind.COMPLETED);
        assertThat(Stream.of(
                        TaskEvent.failed("t", 1, "a", NOW, "failed", Json.tree("e"), null, NOW),
                        TaskEvent.cancelled("t", 1, null, NOW),
                        TaskEvent.expired("t", 1, NOW),
                        TaskEvent.completed(
                                new TaskResult(null, "t", 1, "a", TaskResult.Status.COMPLETED, null, null, null, null),
                                NOW)))
                .extracting(TaskEvent::sequence)
                .containsExactly("000000160", "000000170", "000000180", "000000190");
    }

    @Test
    void onlyTheFirstAssignmentCarriesTheTask() {
        TaskEvent second = TaskEvent.assigned(TASK.attempt(2, NOW), Priority.LOW, "a", NOW);

        assertThat(second.change().task()).isNull();
        assertThat(Json.tree(second).at("/data").has("task")).isFalse();
    }

    @Test
    void aTruncatedEventSaysSo() {
        Task failed = TASK.attempt(2, NOW);
        TaskEvent event = TaskEvent.failed("order-7", 1, "a", NOW, "failed", Json.tree("e"), failed, NOW);

        TaskEvent truncated = event.truncate();

        ObjectNode expected = (ObjectNode) Json.tree(event);
        ((ObjectNode) expected.get("data")).put("truncated", true).remove("error");
        assertThat(Json.<JsonNode>tree(truncated)).isEqualTo(expected);
    }

    @Test
    void allTypesAreReadAgain() {
        assertThat(Arrays.stream(TaskEvent.Kind.values()).map(kind -> TaskEvent.Kind.parse(kind.type())))
                .containsExactly(TaskEvent.Kind.values());
        assertThatThrownBy(() -> TaskEvent.Kind.parse("io.aitbc.task.lost"))
                .hasMessage("Unknown type of event: io.aitbc.task.lost");
    }

    @Test
    void everyFieldIsWrittenAndNothingThatIsAbsent() {
        Task full = Json.read("""
                {"task_id":"full","task_data":{"a":null},"priority":"high","requirements":{"agent_type":"t","capabilities":["c>=1"],
                 "services":["s"],"tags":["g"],"min_health_score":0.5,"region":"r","location":{"lat":1.0,"lon":2.0},
                 "agent_id":"a","affinity_key":"k","chain_id":"x","resources":{"gpu":0.5},"later":[1]},"max_attempts":4,
                 "timeout_seconds":5,"not_before":"2026-11-01T12:00:00Z","expires_at":"2026-11-02T12:00:00Z",
                 "submitted_at":"2026-11-01T12:00:00Z","attempt":1,"rejected_by":"b","chain_id":"x","fairness_key":"f",
                 "fairness_weight":2.5,
                 "labels":{"team":"search"},"uses":{"gpt":1},"later":{"b":2}}
                """, Task.class);
        List<TaskEvent> events = List.of(
                TaskEvent.assigned(full, Priority.HIGH, "gpu-1", NOW),
                TaskEvent.failed("full", 1, "gpu-1", NOW, "failed", Json.tree("e"), full.attempt(2, NOW), NOW),
                TaskEvent.completed(
                        new TaskResult(null, "full", 2, "a", TaskResult.Status.COMPLETED, Json.tree(1), null, NOW, NOW),
                        NOW));

        assertThat(events)
                .allSatisfy(event -> assertThat(Json.read(Json.bytes(event), TaskEvent.class))
                        .isEqualTo(event));
        assertThat(Json.text(TaskEvent.assigned(TASK, Priority.HIGH, "gpu-1", NOW)))
                .doesNotContain("null", "requirements", "[]");
    }

    /** What is as deep as it may be in a task or a result is two levels deeper in an event. */
    @Test
    void theDeepestTaskIsReadAgain() {
        int levels = 198;
        ObjectNode data = Json.read("{\"a\":".repeat(levels) + "1" + "}".repeat(levels), ObjectNode.class);
        Task deep = Task.of("deep", data, Requirements.NONE).accepted("deep", NOW);
        Json.read(Json.bytes(deep), Task.class);

        TaskEvent event = TaskEvent.accepted(deep, Priority.LOW);

        assertThat(Json.read(Json.bytes(event), TaskEvent.class)).isEqualTo(event);
    }

    @Test
    void fieldsOfLaterVersionsAreIgnored() {
        ObjectNode json = (ObjectNode) Json.tree(TaskEvent.accepted(TASK, Priority.LOW));
        json.put("traceparent", "00-1");
        ((ObjectNode) json.get("data")).set("later", Json.tree(Map.of("a", 1)));

        assertThat(Json.read(Json.text(json), TaskEvent.class)).isEqualTo(TaskEvent.accepted(TASK, Priority.LOW));
    }
}

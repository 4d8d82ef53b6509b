package io.aitbc.coordinator.push;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.PushMessage;
import io.aitbc.contracts.TaskResult;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** What a reply means, and what is posted. */
class PushOutcomeTest {
    private static final Instant NOW = Instant.parse("2026-07-01T12:00:00Z");
    private static final Assignment ASSIGNMENT = new Assignment(
            null,
            "task-1",
            2,
            "agent-1",
            Priority.URGENT,
            Payload.of(Json.object().put("task_type", "chat")),
            null,
            3,
            60,
            null,
            NOW,
            NOW,
            NOW.plusSeconds(60),
            null,
            null,
            null,
            Map.of(),
            Map.of(),
            Set.of(),
            Map.of());

    private static PushOutcome outcome(int status, String body) {
        return PushOutcome.of(
                ASSIGNMENT, new Reply.Response(status, null, body.getBytes(StandardCharsets.UTF_8), false), NOW);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "200 | {\"status\":\"completed\",\"result\":{\"a\":1}}       | completed | {\"a\":1} |",
                "200 | {\"status\":\"COMPLETED\"}                            | completed |           |",
                "200 | {\"result\":5}                                        | completed | 5         |",
                "200 | {\"status\":\"success\",\"result\":\"x\"}             | completed | \"x\"     |",
                "200 | {\"status\":\"error\",\"error\":\"x\"}              | failed    |           | \"x\"",
                "200 | {\"error\":\"\",\"result\":5}                     | completed | 5         |",
                "201 | {\"result\":5}                                        | completed | 5         |",
                "200 | {\"status\":\"failed\",\"error\":\"no\"}              | failed    |           | \"no\"",
                "200 | {\"error\":{\"code\":3}}                              | failed    |           | {\"code\":3}",
                "200 | {\"status\":\"rejected\",\"error\":\"not mine\"}      | rejected  |           | \"not mine\"",
            })
    void aBodyWithAStatusAResultOrAnErrorEndsTheAttempt(
            int status, String body, String ending, String result, String error) {
        PushOutcome outcome = outcome(status, body);

        assertThat(outcome.kind()).isEqualTo(PushOutcome.Kind.ENDED);
        TaskResult ended = Objects.requireNonNull(outcome.result());
        assertThat(ended.status().wireName()).isEqualTo(ending);
        assertThat(ended.result() == null ? null : Json.text(ended.result())).isEqualTo(result);
        assertThat(ended.error() == null ? null : Json.text(ended.error())).isEqualTo(error);
        assertThat(ended.assignmentId()).isEqualTo("task-1:2");
        assertThat(ended.agentId()).isEqualTo("agent-1");
        assertThat(ended.finishedAt()).isEqualTo(NOW);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "200 | ``                             | ACCEPTED",
                "200 | ok                             | ACCEPTED",
                "200 | {\"status\":\"accepted\"}      | ACCEPTED",
                "200 | {\"status\":\"success\"}       | ACCEPTED",
                "200 | {\"result\":null}              | ACCEPTED",
                "200 | {\"status\":\"accepted\",\"error\":\"\"}               | ACCEPTED",
                "200 | {\"status\":\"progress\",\"result\":{\"percent\":5}} | ACCEPTED",
                "200 | {\"status\":\"running\",\"error\":\"none\"}            | ACCEPTED",
                "200 | {\"error\":\"\"}                                       | ACCEPTED",
                "200 | {\"error\":false}                                      | ACCEPTED",
                "200 | {\"status\":\"progress\"}      | ACCEPTED",
                "200 | [1]                            | ACCEPTED",
                "202 | ``                             | ACCEPTED",
                "204 | ``                             | ACCEPTED",
                "429 | {\"result\":5}                 | NOT_DELIVERED",
                "503 | ``                             | NOT_DELIVERED",
                "301 | ``                             | UNCERTAIN",
                "400 | {\"error\":\"no\"}             | UNCERTAIN",
                "404 | ``                             | UNCERTAIN",
                "500 | ``                             | UNCERTAIN",
                "504 | ``                             | UNCERTAIN",
            })
    void otherwiseTheStatusDecides(int status, String body, PushOutcome.Kind kind) {
        PushOutcome outcome = outcome(status, body);

        assertThat(outcome.kind()).isEqualTo(kind);
        assertThat(outcome.isReached()).isTrue();
        assertThat(outcome.result()).isNull();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"status\":\"completed\",\"result\":1e2147483648} | a number is out of range",
                "{\"status\":\"completed\",\"result\":5            | not valid JSON",
                "{\"result\":5,\"result\":6}                     | \"result\" appears twice",
            })
    void aBodyThatCannotBeReadFailsTheAttempt(String body, String reason) {
        PushOutcome outcome = outcome(200, body);

        assertThat(outcome.kind()).isEqualTo(PushOutcome.Kind.ENDED);
        assertThat(Objects.requireNonNull(outcome.result()).status()).isEqualTo(TaskResult.Status.FAILED);
        assertThat(String.valueOf(outcome.result().error()))
                .contains("the agent's response cannot be read: ")
                .contains(reason.replace("\"", "\\\""));
    }

    @Test
    void aRequestThatWasNotSentIsNotDelivered() {
        PushOutcome outcome = PushOutcome.of(ASSIGNMENT, new Reply.NotSent("the connection is refused"), NOW);

        assertThat(outcome.kind()).isEqualTo(PushOutcome.Kind.NOT_DELIVERED);
        assertThat(outcome.isReached()).isFalse();
        assertThat(outcome.why()).isEqualTo("the connection is refused");
    }

    @Test
    void aRequestThatFoundNoConnectionSaysNothingAboutTheAgent() {
        assertThat(PushOutcome.of(ASSIGNMENT, new Reply.NoConnection(), NOW).kind())
                .isEqualTo(PushOutcome.Kind.NOT_SENT);
    }

    @Test
    void aRequestWithoutAResponseMayBeProcessed() {
        assertThat(PushOutcome.of(ASSIGNMENT, new Reply.NoResponse("no response within 60.0 s"), NOW)
                        .kind())
                .isEqualTo(PushOutcome.Kind.UNCERTAIN);
    }

    @Test
    void aResultThatCannotBeReadIsAFailure() {
        TaskResult ended =
                Objects.requireNonNull(outcome(200, "{\"status\":\"completed\",\"retry_after_seconds\":\"soon\"}")
                        .result());

        assertThat(ended.status()).isEqualTo(TaskResult.Status.FAILED);
        assertThat(Json.text(ended.reason())).contains("the agent's response is not a valid result");
    }

    /** An agent need not have an endpoint for probes: servers without one answer 404, 405 or 501. */
    @ParameterizedTest
    @CsvSource({
        "200,true",
        "204,true",
        "401,true",
        "404,true",
        "405,true",
        "501,true",
        "302,true",
        "429,false",
        "500,false",
        "502,false",
        "503,false",
        "504,false"
    })
    void aProbeIsAnsweredUnlessTheAgentIsUnwell(int status, boolean isWell) {
        String obstacle = PushEffects.obstacle(
                URI.create("http://agent/health"), new Reply.Response(status, null, new byte[0], false));

        assertThat(obstacle).isEqualTo(isWell ? null : "http://agent/health responds with status " + status);
    }

    @Test
    void aRetryAfterIsKept() {
        assertThat(PushOutcome.of(ASSIGNMENT, new Reply.Response(429, Duration.ofSeconds(7), new byte[0], false), NOW)
                        .retryAfter())
                .isEqualTo(Duration.ofSeconds(7));
    }

    @Test
    void theBodyIsTheAssignmentAndAMessageOfTheArchitecture() {
        ObjectNode stored = ((ObjectNode) Json.tree(ASSIGNMENT))
                .put("from_a_later_version", true)
                .put("id", "task's");

        ObjectNode body = PushMessage.of(ASSIGNMENT, stored, NOW.plusSeconds(10));

        assertThat(body.get("from_a_later_version").asBoolean()).isTrue();
        assertThat(body.get("id").asString()).isEqualTo("task-1:2");
        assertThat(body.get("ttl").asInt()).isEqualTo(50);
        assertThat(body.get("priority").asString()).isEqualTo("critical");
        assertThat(body.get("payload").get("priority").asString()).isEqualTo("urgent");
        assertThat(body.get("payload").get("task_type").asString()).isEqualTo("chat");
        assertThat(body.get("payload").get("deadline")).isEqualTo(body.get("deadline"));
        assertThat(stored.get("id").asString()).as("unchanged").isEqualTo("task's");
        assertThat(Json.read(body.put("priority", "urgent"), Assignment.class).assignmentId())
                .isEqualTo("task-1:2");
    }
}

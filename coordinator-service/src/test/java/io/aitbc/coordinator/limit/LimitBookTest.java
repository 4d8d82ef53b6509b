package io.aitbc.coordinator.limit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Task;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LimitBookTest {
    private static final Limit ANY = limit("{\"concurrency\": 5}");

    private static Limit limit(String json) {
        return Json.read(json, Limit.class);
    }

    private static Task task(String json) {
        return Json.read(json, Task.class);
    }

    @ParameterizedTest
    @CsvSource({
        "openai/gpt-5, openai/gpt-5",
        "openai/gpt-5-mini, openai/gpt-*",
        "openai/other, openai/*",
        "openai, ",
        "azure/x, ",
        "openai/, openai/*",
    })
    void theMostSpecificDefinitionCounts(String name, String definition) {
        LimitBook book = new LimitBook("1", Map.of("openai/gpt-5", ANY, "openai/gpt-*", ANY, "openai/*", ANY));
        assertThat(book.definitionName(name)).isEqualTo(definition);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
        {"fairness_key": "acme"}   | x         | {"task_data":{},"fairness_key":"acme"}                                     | {x=1}
        {"fairness_key": "acme"}   | x         | {"task_data":{},"fairness_key":"acme","uses":{"x":3}}                      | {x=3}
        {"fairness_key": "acme"}   | x         | {"task_data":{},"fairness_key":"beta","uses":{"y":3}}                      | {y=3}
        {"fairness_key": "*"}      | tenant/*  | {"task_data":{},"fairness_key":"größe 1%"}                                 | {tenant/gr%C3%B6%C3%9Fe%201%25=1}
        {"fairness_key": "*"}      | tenant/*  | {"task_data":{}}                                                           | {}
        {"task_type": "chat"}      | x         | {"task_data":{"task_type":"chat"}}                                         | {x=1}
        {"task_type": "*"}         | type/*    | {"task_data":{"task_type":"chat"}}                                         | {type/chat=1}
        {"task_type": "chat"}      | x         | {"task_data":{"task_type":7}}                                              | {}
        {"capability": "gpu"}      | x         | {"task_data":{},"requirements":{"capabilities":["gpu>=2","a"]}}            | {x=1}
        {"capability": "gpu"}      | x         | {"task_data":{},"requirements":{"capabilities":["gpus"]}}                  | {}
        {"agent_type": "w"}        | x         | {"task_data":{},"requirements":{"agent_type":"w"}}                         | {x=1}
        {"agent_type": "w", "fairness_key": "a"} | x | {"task_data":{},"fairness_key":"a"}                                  | {}
        """)
    void limitsApply(String appliesTo, String name, String task, String uses) {
        LimitBook book =
                new LimitBook("1", Map.of(name, limit("{\"concurrency\": 5, \"applies_to\": " + appliesTo + "}")));
        assertThat(book.uses(task(task))).hasToString(uses);
        assertThat(book.readsTaskType()).isEqualTo(appliesTo.contains("task_type"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
        {"fairness_key": "*"}       | customer/* | customer/acme   |
        {"fairness_key": "*"}       | customer/* | customer/acme/x | customer/acme/x
        {"fairness_key": "*"}       | customer/* | customer/beta   | customer/beta
        {"fairness_key": "*"}       | customer/* | other           |
        {"fairness_key": "acme"}    | x          | x               |
        {"fairness_key": "acme"}    | x/*        | x/any           |
        {"fairness_key": "beta"}    | x          | x               | x
        {"fairness_key": "beta"}    | x          | y               |
        {"capability": "gpu"}       | x          | x               |
        """)
    void aLimitMayBeOfAnotherKey(String appliesTo, String defined, String named, String refused) {
        LimitBook book = new LimitBook(
                "1",
                Map.of(
                        defined,
                        new Limit(
                                5L,
                                null,
                                null,
                                limit("{\"concurrency\":1,\"applies_to\":" + appliesTo + "}")
                                        .appliesTo())));
        assertThat(book.ofAnotherKey(
                        task("{\"task_data\":{},\"fairness_key\":\"acme\",\"uses\":{\"" + named + "\":1}}")))
                .isEqualTo(refused);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
        {"fairness_key": ""}            | applies_to must not have a blank value
        {"agent_type": " "}             | applies_to must not have a blank value
        {"capability": "gpu>=2"}        | applies_to.capability is the name alone: it applies to tasks that require any version of it
        {"fairness_key": "123456789.123456789.123456789.123456789.123456789.123456789.12345"} | applies_to.fairness_key must have 1 to 64 characters, none of them a control character
        """)
    void whatNoTaskCanMatchIsRefused(String appliesTo, String why) {
        assertThatExceptionOfType(Json.MalformedMessageException.class)
                .isThrownBy(() -> limit("{\"concurrency\":1,\"applies_to\":" + appliesTo + "}"))
                .withMessageContaining(why);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
        {"concurrency": 5}                                          | the task uses 6 units of the limit x, whose concurrency is 5
        {"concurrency": 6}                                          |
        {"concurrency": 0}                                          |
        {"rate": {"units": 100, "per_seconds": 1}}                  | the task uses 6 units of the limit x, whose rate has a burst of 1
        {"rate": {"units": 1, "per_seconds": 100, "burst": 6}}      |
        {"budget": {"units": 5, "per": "day"}}                      | the task uses 6 units of the limit x, whose budget is 5 per day
        """)
    void whatCanNeverStart(String definition, String why) {
        LimitBook book = new LimitBook("1", Map.of("x", limit(definition)));
        assertThat(book.impossible(task("{\"task_data\":{},\"uses\":{\"x\":6}}")))
                .isEqualTo(why);
    }

    @ParameterizedTest
    @CsvSource({
        "DAY, Europe/Amsterdam, 2026-11-29T22:59:59Z, 2026-11-29, 2026-11-29T23:00:00Z",
        "DAY, Europe/Amsterdam, 2026-11-29T23:00:00Z, 2026-11-30, 2026-11-30T23:00:00Z",
        // The clocks go back: 25 hours.
        "DAY, Europe/Amsterdam, 2026-10-24T22:00:00Z, 2026-10-25, 2026-10-25T23:00:00Z",
        "MONTH, UTC, 2026-12-31T23:59:59Z, 2026-12, 2027-01-01T00:00:00Z",
        "DAY, , 2026-11-29T23:59:59Z, 2026-11-29, 2026-11-30T00:00:00Z",
    })
    void budgetsArePerCalendarPeriod(Limit.Period per, String zone, Instant time, String period, Instant end) {
        Limit.Budget budget = new Limit.Budget(1L, per, zone);
        assertThat(budget.period(time)).isEqualTo(period);
        assertThat(budget.end(time)).isEqualTo(end);
    }

    @Test
    void onlyAppliesToDecidesWhetherTasksAreReadAgain() {
        LimitBook one = new LimitBook("1", Map.of("x", ANY));
        assertThat(one.appliesAs(new LimitBook("2", Map.of("y", ANY)))).isTrue();
        assertThat(one.appliesAs(new LimitBook(
                        "2", Map.of("x", limit("{\"concurrency\": 5, \"applies_to\": {\"agent_type\": \"w\"}}")))))
                .isFalse();
    }
}

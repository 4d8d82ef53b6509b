package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Two coordinators that keep the same limits. */
class LimitsTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    private static RunningCoordinator one;
    private static RunningCoordinator other;

    @BeforeAll
    static void start() {
        one = RunningCoordinator.start(LocalStack.shared(), "limits.", 9);
        other = RunningCoordinator.start(LocalStack.shared(), "limits.", 9);
        one.awaitSharedQueues(2);
    }

    @AfterAll
    static void end() {
        other.close();
        one.close();
    }

    @Test
    void noMoreAttemptsAreLiveThanALimitAllows() {
        set("places", "{\"concurrency\": 4}");
        register("places-1", 50, "places");
        submit(60, "\"uses\":{\"places\":1},\"requirements\":{\"capabilities\":[\"places\"]}");

        Deque<JsonNode> live = new ArrayDeque<>();
        List<String> ended = new ArrayList<>();
        one.follow("assignments.places-1", 0, assignment -> {
            live.add(assignment);
            while (live.size() == 4 || ended.size() + live.size() == 60 && !live.isEmpty()) {
                assertThat(one.written("assignments.places-1") - ended.size())
                        .as("live attempts")
                        .isLessThanOrEqualTo(4);
                JsonNode first = live.remove();
                // Some attempts fail, and hold their units no longer.
                boolean fails = ended.size() % 5 == 4;
                one.report(first, fails ? "failed" : "completed", fails ? "why" : null);
                ended.add(first.get("assignment_id").asString());
            }
            return ended.size() < 60;
        });
        assertThat(limit(one, "places").get("in_use").asInt()).isLessThanOrEqualTo(4);
    }

    @Test
    void aTaskSaysWhichLimitKeepsItBackAndWhatWouldLetItRun() {
        set("calls/*", "{\"concurrency\": 1}");
        register("calls-1", 5, "calls");
        String body = "{\"task_data\":{},\"uses\":{\"calls/x\":1},\"requirements\":{\"capabilities\":[\"calls\"]}}";
        String first = one.submit(body);
        one.awaitTask(first, "assigned");
        String second = other.submit(body);

        await().atMost(LONG)
                .until(
                        () -> explanation(other, second)
                                .startsWith(
                                        "limits keep it back: 1 of 1 units of calls/x are in use; attempts that hold them must end first; it is "));
        await().atMost(LONG).until(() -> limit(other, "calls/x").get("waiting").asInt() == 1);
        JsonNode use = limit(one, "calls/x");
        assertThat(use.get("defined_by").asString()).isEqualTo("calls/*");
        assertThat(use.get("in_use").asInt()).isEqualTo(1);
        assertThat(use.get("room").asInt()).isZero();
        assertThat(use.at("/holders/0/task_id").asString()).isEqualTo(first);
        assertThat(use.at("/holders/0/agent_id").asString()).isEqualTo("calls-1");
        assertThat(one.get("/demand?capability=calls").body().get("waiting").asInt())
                .isZero();

        assertThat(one.post("/tasks/" + first + "/cancel", "").code()).isEqualTo(200);
        one.awaitTask(second, "assigned");
        // Nobody knows whether its agent has stopped.
        assertThat(limit(one, "calls/x").get("possibly_running").asInt()).isEqualTo(1);
        one.awaitRecords("assignments.calls-1", 3).stream()
                .filter(message -> message.path("task_id").asString().equals(first)
                        && message.has("attempt")
                        && message.has("deadline"))
                .forEach(message -> one.report(message, "completed", null));
        await().atMost(LONG)
                .until(() -> limit(one, "calls/x").get("possibly_running").asInt() == 0);
    }

    @Test
    void aTaskThatCouldNeverStartIsRefused() {
        set("small", "{\"rate\": {\"units\": 10, \"per_seconds\": 1, \"burst\": 5}}");
        String body = "{\"task_data\":{},\"uses\":{\"small\":6},\"requirements\":{\"capabilities\":[\"none\"]}}";
        String why = "the task uses 6 units of the limit small, whose rate has a burst of 5";

        assertThat(other.post("/tasks/submit", body))
                .extracting(Answer::code, Answer::detail)
                .containsExactly(422, why);
        JsonNode batch = other.post("/tasks/submit/batch", "[" + body + "]").body();
        assertThat(batch.at("/results/0/detail").asString()).isEqualTo(why);
        one.publish("tasks.normal", null, "{\"task_id\":\"too-large\",\"task_data\":{},\"uses\":{\"small\":6}}");
        JsonNode failed = one.awaitTask("too-large", "failed");
        assertThat(failed.toString()).contains(why);
        await().atMost(LONG)
                .until(() -> one.get("/tasks/dead-letter?limit=100")
                        .body()
                        .toString()
                        .contains(why));
    }

    /** Tasks that name no limit, of a tenant each. */
    @Test
    void limitsApplyToTasksThatDoNotNameThem() {
        set("tenant/*", "{\"concurrency\": 1, \"applies_to\": {\"fairness_key\": \"*\", \"capability\": \"tenants\"}}");
        register("tenants-1", 20, "tenants");
        submit(3, "\"fairness_key\":\"a b\",\"requirements\":{\"capabilities\":[\"tenants\"]}");
        submit(3, "\"fairness_key\":\"c\",\"requirements\":{\"capabilities\":[\"tenants\"]}");

        List<JsonNode> assignments = one.awaitRecords("assignments.tenants-1", 2);

        assertThat(assignments)
                .extracting(assignment -> assignment.get("uses").toString())
                .containsExactlyInAnyOrder("{\"tenant/a%20b\":1}", "{\"tenant/c\":1}");
        assertThat(assignments.get(0).get("applied_limits")).hasSize(1);
        await().atMost(LONG).until(() -> limit(one, "tenant/c").get("waiting").asInt() == 2);
        // Tasks that wait are read again, and none of them is kept back any longer.
        assertThat(one.send("DELETE", "/limits/tenant/*", null).code()).isEqualTo(200);
        one.awaitRecords("assignments.tenants-1", 6);
    }

    @Test
    void aBudgetIsCorrectedByWhatAttemptsReallyUsed() {
        set("tokens", "{\"budget\": {\"units\": 1000, \"per\": \"month\", \"time_zone\": \"Europe/Amsterdam\"}}");
        register("tokens-1", 50, "tokens");
        submit(3, "\"uses\":{\"tokens\":400},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"tokens\"]}");

        List<JsonNode> assignments = one.awaitRecords("assignments.tokens-1", 2);
        await().atMost(LONG).until(() -> limit(one, "tokens").at("/budget/left").asInt() == 200);
        await().atMost(LONG).until(() -> limit(one, "tokens").get("waiting").asInt() == 1);
        assertThat(limit(one, "tokens").at("/budget/ends_at").asString()).startsWith(nextMonth());

        ObjectNode failed = RunningCoordinator.result(assignments.get(0), "failed");
        failed.putObject("usage").put("tokens", 150).put("others", 5);
        one.report(failed);
        // 400 and 150 are spent, so the third can start.
        one.awaitRecords("assignments.tokens-1", 3);
        ObjectNode completed = RunningCoordinator.result(assignments.get(1), "completed");
        completed.putObject("usage").put("tokens", 900);
        one.report(completed);
        await().atMost(LONG)
                .until(() -> limit(one, "tokens").at("/budget/spent").asInt() == 150 + 400 + 900);
        assertThat(limit(one, "tokens").at("/budget/left").asInt()).isZero();
    }

    /** An upper bound of what is spent is in Kafka: what Redis has lost counts as spent. */
    @Test
    void whatRedisHasLostOfABudgetIsNotSpentAgain() {
        set("rare", "{\"budget\": {\"units\": 10, \"per\": \"day\"}}");
        register("rare-1", 50, "rare");
        submit(4, "\"uses\":{\"rare\":1},\"requirements\":{\"capabilities\":[\"rare\"]}");
        one.awaitRecords("assignments.rare-1", 4);
        await().atMost(LONG).until(() -> limit(one, "rare").at("/budget/spent").asInt() == 4);

        Redis redis = one.part(Redis.class);
        redis.sync().del("limit:rare");
        submit(20, "\"uses\":{\"rare\":1},\"requirements\":{\"capabilities\":[\"rare\"]}");

        one.awaitRecords("assignments.rare-1", 10);
        await().atMost(LONG).until(() -> limit(one, "rare").get("waiting").asInt() == 14);
        assertThat(one.awaitRecords("assignments.rare-1", 10)).hasSize(10);
    }

    @Test
    void aLimitGivesNothingForAsLongAsAnAgentSays() {
        set("provider", "{\"rate\": {\"units\": 1000, \"per_seconds\": 1, \"burst\": 1000}}");
        register("provider-1", 1, "provider");
        submit(2, "\"uses\":{\"provider\":1},\"requirements\":{\"capabilities\":[\"provider\"]}");
        JsonNode first = one.awaitRecords("assignments.provider-1", 1).get(0);

        ObjectNode refused = RunningCoordinator.result(first, "failed");
        refused.put("retry_after_seconds", 3).put("limit", "provider");
        Instant reported = Instant.now();
        one.report(refused);

        JsonNode next = one.awaitRecords("assignments.provider-1", 2).get(1);
        assertThat(Duration.between(
                        reported, Instant.parse(next.get("assigned_at").asString())))
                .isGreaterThan(Duration.ofMillis(2_900));
    }

    @Test
    void aLimitThatAnAgentHasClosedIsOpenedByADefinition() {
        String definition = "{\"concurrency\": 5}";
        set("closed", definition);
        register("closed-1", 1, "closed");
        submit(2, "\"max_attempts\":1,\"uses\":{\"closed\":1},\"requirements\":{\"capabilities\":[\"closed\"]}");
        ObjectNode refused = RunningCoordinator.result(
                one.awaitRecords("assignments.closed-1", 1).get(0), "failed");
        refused.put("retry_after_seconds", 80_000).put("limit", "closed");
        one.report(refused);
        await().atMost(LONG).until(() -> limit(other, "closed").has("closed_until"));
        await().atMost(LONG).until(() -> limit(other, "closed").get("waiting").asInt() == 1);

        set("closed", definition);

        one.awaitRecords("assignments.closed-1", 2);
        assertThat(limit(other, "closed").has("closed_until")).isFalse();
    }

    /** At most burst + rate × t in any interval, by the times of assignment. */
    @Test
    void aRateHoldsInAnyInterval() {
        set("rated", "{\"rate\": {\"units\": 20, \"per_seconds\": 1, \"burst\": 3}}");
        register("rated-1", 200, "rated");
        submit(60, "\"uses\":{\"rated\":1},\"requirements\":{\"capabilities\":[\"rated\"]}");

        List<Instant> times = one.awaitRecords("assignments.rated-1", 60).stream()
                .map(assignment -> Instant.parse(assignment.get("assigned_at").asString()))
                .sorted()
                .toList();

        for (int from = 0; from < times.size(); from++) {
            for (int to = from; to < times.size(); to++) {
                double seconds =
                        Duration.between(times.get(from), times.get(to)).toNanos() / 1e9;
                // Times of assignment are those of two coordinators, before Redis judged.
                assertThat(to - from + 1).isLessThanOrEqualTo((int) (3 + 20 * (seconds + 0.25)));
            }
        }
        assertThat(Duration.between(times.get(0), times.get(59))).isLessThan(Duration.ofSeconds(8));
    }

    private static String nextMonth() {
        return LocalDate.now(ZoneId.of("Europe/Amsterdam"))
                .withDayOfMonth(1)
                .plusMonths(1)
                .atStartOfDay(ZoneId.of("Europe/Amsterdam"))
                .toInstant()
                .toString();
    }

    private static void set(String name, String limit) {
        Answer answer = one.send("PUT", "/limits/" + name, limit);
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
    }

    private static void register(String agent, int capacity, String capability) {
        one.register(agent, capacity, capability);
    }

    private static JsonNode limit(RunningCoordinator coordinator, String name) {
        return coordinator.get("/limits/" + name).body().get("limit");
    }

    private static String explanation(RunningCoordinator coordinator, String taskId) {
        return coordinator
                .get("/tasks/" + taskId + "/explain")
                .body()
                .path("explanation")
                .asString("");
    }

    private static void submit(int count, String fields) {
        String batch = IntStream.range(0, count)
                .mapToObj(i -> "{\"task_data\":{}," + fields + "}")
                .collect(Collectors.joining(",", "[", "]"));
        assertThat(one.post("/tasks/submit/batch", batch).body().get("accepted").asInt())
                .isEqualTo(count);
    }
}

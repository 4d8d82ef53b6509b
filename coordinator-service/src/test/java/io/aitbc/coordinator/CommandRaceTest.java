package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/**
 * Ten callers send the same command concurrently to two coordinators: one wins, the others get the resulting state, and nothing happens
 * twice.
 */
class CommandRaceTest {
    private static final int CALLERS = 10;
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final ExecutorService THREADS = Executors.newFixedThreadPool(CALLERS);
    private static final String[] SETTINGS = {
        "--aitbc.settle.retry-backoff=50ms", "--aitbc.registry.heartbeat-timeout=10m"
    };

    private static final Map<String, Runnable> RACES = new TreeMap<>(Map.ofEntries(
            Map.entry("POST /agents/register", CommandRaceTest::anAgentIsRegisteredOnce),
            Map.entry("POST /agents/discover", CommandRaceTest::allDiscoverTheSame),
            Map.entry("PUT /agents/{agent_id}/status", CommandRaceTest::tasksOfAnInactiveAgentAreRequeuedOnce),
            Map.entry("POST /agents/{agent_id}/assignments/claim", CommandRaceTest::anAssignmentIsServedToOneClaim),
            Map.entry("POST /agents/{agent_id}/heartbeat", CommandRaceTest::heartbeatsAreAllAccepted),
            Map.entry("DELETE /agents/{agent_id}", CommandRaceTest::anAgentIsDeregisteredByOne),
            Map.entry("POST /tasks/submit", CommandRaceTest::oneSubmissionIsAccepted),
            Map.entry("POST /tasks/submit/batch", CommandRaceTest::eachTaskOfABatchIsAcceptedFromOne),
            Map.entry("POST /tasks/{task_id}/cancel", CommandRaceTest::aTaskIsCancelledOnceAndItsAgentNotifiedOnce),
            Map.entry("POST /tasks/{task_id}/retry", CommandRaceTest::aTaskIsRetriedOnce),
            Map.entry("POST /history/rebuild", () -> assertAllAccepted(race("POST", "/history/rebuild", ""))),
            Map.entry("POST /tasks/bulk/cancel", () -> aBulkOperationBeginsOnce("cancel")),
            Map.entry("POST /tasks/bulk/{bulk_id}/stop", () -> refusedWith(404, "/tasks/bulk/race-none/stop", "")),
            Map.entry("POST /tasks/bulk/redrive", () -> aBulkOperationBeginsOnce("redrive")),
            Map.entry("POST /tasks/{task_id}/token", () -> refusedWith(404, "/tasks/race-none/token", "")),
            Map.entry("POST /tasks/{task_id}/results", CommandRaceTest::oneResultCounts),
            Map.entry("POST /tasks/dead-letter/{task_id}/redrive", CommandRaceTest::aTaskIsRedrivenOnce),
            Map.entry("POST /tasks/queues/{priority}/clear", CommandRaceTest::eachTaskIsClearedForOne),
            Map.entry("POST /tasks/queues/{priority}/pause", () -> pauses("pause", true)),
            Map.entry("POST /tasks/queues/{priority}/resume", () -> pauses("resume", false)),
            Map.entry(
                    "POST /auth/session",
                    () -> assertThat(race("POST", "/auth/session", "{\"credential\":\"none-is-needed\"}"))
                            .extracting(Answer::code)
                            .containsOnly(409)),
            Map.entry("DELETE /auth/session", () -> assertAllAccepted(race("DELETE", "/auth/session", null))),
            Map.entry(
                    "POST /auth/login",
                    () -> refusedWith(401, "/auth/login", "{\"username\":\"a\",\"password\":\"b\"}")),
            Map.entry("POST /auth/refresh", () -> refusedWith(401, "/auth/refresh", "{\"refresh_token\":\"none\"}")),
            Map.entry("POST /auth/validate", () -> refusedWith(401, "/auth/validate", "{\"token\":\"none\"}")),
            Map.entry("POST /auth/api-key/generate", CommandRaceTest::eachKeyOfAUserIsAnother),
            Map.entry(
                    "POST /auth/api-key/validate",
                    () -> refusedWith(401, "/auth/api-key/validate", "{\"api_key\":\"none\"}")),
            Map.entry("DELETE /auth/api-key/{api_key}", () -> aKeyIsRevoked("/auth/api-key/")),
            Map.entry("POST /users/{user_id}/role", CommandRaceTest::oneOfTheRolesIsAssigned),
            Map.entry("POST /keys", CommandRaceTest::eachKeyIsAnother),
            Map.entry("DELETE /keys/{key_id}", () -> aKeyIsRevoked("/keys/")),
            Map.entry("PUT /load-balancer/strategy", CommandRaceTest::allSwitchToTheSameStrategy),
            Map.entry("PUT /fairness/{fairness_key}", CommandRaceTest::oneOfTheWeightsIsSet),
            Map.entry("DELETE /fairness/{fairness_key}", CommandRaceTest::aWeightIsDeleted),
            Map.entry("PUT /limits/{name}", CommandRaceTest::oneOfTheLimitsIsDefined),
            Map.entry("DELETE /limits/{name}", CommandRaceTest::aLimitIsRemoved)));

    @TempDir
    private static Path folder;

    private static LocalPostgres postgres;
    private static RunningCoordinator one;
    private static RunningCoordinator other;

    @BeforeAll
    static void start() {
        postgres = LocalPostgres.start(folder, LocalStack.freePort());
        String[] settings = Stream.concat(Stream.of(SETTINGS), Stream.of("--aitbc.history.url=" + postgres.url()))
                .toArray(String[]::new);
        one = RunningCoordinator.start(LocalStack.shared(), "race.", 14, settings);
        other = RunningCoordinator.start(LocalStack.shared(), "race.", 14, settings);
    }

    @AfterAll
    static void end() {
        THREADS.shutdownNow();
        other.close();
        one.close();
        postgres.close();
    }

    static Stream<String> commands() {
        return RACES.keySet().stream();
    }

    @ParameterizedTest
    @MethodSource("commands")
    void oneWinsAndTheOthersGetTheResultingState(String command) {
        RACES.get(command).run();
    }

    @Test
    void everyCommandOfTheDocumentIsRaced() {
        JsonNode paths = one.get("/openapi.json").body().get("paths");
        List<String> commands = new ArrayList<>();
        paths.forEachEntry((path, operations) -> operations.propertyNames().stream()
                .filter(method -> !method.equals("get"))
                .forEach(method -> commands.add(method.toUpperCase() + " " + path)));
        assertThat(RACES.keySet()).containsExactlyInAnyOrderElementsOf(commands);
    }

    private static void anAgentIsRegisteredOnce() {
        String agent = "{\"agent_id\":\"race-new\",\"agent_type\":\"worker\",\"capabilities\":[\"race-new\"]}";
        List<Answer> answers = race("POST", "/agents/register", agent);
        assertAllAccepted(answers);
        assertThat(answers)
                .extracting(answer -> answer.body().get("registered_at").asString())
                .containsOnly(one.get("/agents/race-new")
                        .body()
                        .at("/agent/registration_time")
                        .asString());
        one.reach("race-new");
        String task = one.submit(requiring("race-new"));
        assertThat(one.awaitRecords("assignments.race-new", 1)).hasSize(1);
        one.awaitTask(task, "assigned");
    }

    private static void allDiscoverTheSame() {
        one.register("race-found", 1, "race-found");
        List<Answer> answers = race("POST", "/agents/discover", "{\"capabilities\":[\"race-found\"]}");
        assertAllAccepted(answers);
        assertThat(answers)
                .extracting(answer -> answer.body().get("count").asInt())
                .containsOnly(1);
    }

    private static void tasksOfAnInactiveAgentAreRequeuedOnce() {
        one.register("race-leaves", 1, "race-held");
        String task = one.submit(requiring("race-held"));
        one.awaitTask(task, "assigned");
        one.register("race-stays", 10, "race-held");

        assertAllAccepted(race("PUT", "/agents/race-leaves/status", "{\"status\":\"inactive\"}"));

        assertOnlyThese("race-stays", "race-held", task + ":2");
        assertThat(one.get("/agents/race-leaves").body().at("/agent/status").asString())
                .isEqualTo("inactive");
        assertAllAccepted(race("PUT", "/agents/race-leaves/status", "{\"status\":\"active\"}"));
        assertThat(other.get("/agents/race-leaves").body().at("/agent/status").asString())
                .isEqualTo("active");
    }

    private static void heartbeatsAreAllAccepted() {
        one.register("race-beats", 1, "race-beats");
        assertAllAccepted(race("POST", "/agents/race-beats/heartbeat", "{\"load_metrics\":{\"cpu_usage\":0.25}}"));
        JsonNode agent = other.get("/agents/race-beats").body().get("agent");
        assertThat(agent.get("status").asString()).isEqualTo("active");
        assertThat(agent.at("/load_metrics/cpu_usage").asDouble()).isEqualTo(0.25);
    }

    private static void anAgentIsDeregisteredByOne() {
        one.register("race-gone", 1, "race-gone");
        List<Answer> answers = race("DELETE", "/agents/race-gone", null);
        assertAllAccepted(answers);
        assertOneWins(answers, "Agent race-gone deregistered", "Agent race-gone was already deregistered");
        assertThat(one.post("/agents/race-gone/heartbeat", "{}").code()).isEqualTo(404);
    }

    private static void refusedWith(int code, String path, String body) {
        assertThat(race("POST", path, body)).extracting(Answer::code).containsOnly(code);
    }

    private static void eachKeyOfAUserIsAnother() {
        List<Answer> answers = race("POST", "/auth/api-key/generate?user_id=race-user", null);

        assertAllAccepted(answers);
        assertThat(answers)
                .extracting(answer -> answer.body().get("api_key").asString())
                .doesNotHaveDuplicates();
    }

    private static void oneOfTheRolesIsAssigned() {
        List<Answer> answers =
                race("POST", i -> "/users/race-user/role?role=" + (i % 2 == 0 ? "operator" : "viewer"), i -> "");

        assertAllAccepted(answers);
        await().atMost(LONG)
                .until(() -> one.get("/users/race-user/role")
                        .body()
                        .equals(other.get("/users/race-user/role").body()));
    }

    private static void eachKeyIsAnother() {
        List<Answer> answers = race("POST", "/keys", "{\"name\":\"race-keys\",\"role\":\"viewer\"}");
        assertAllAccepted(answers);
        assertThat(answers)
                .extracting(answer -> answer.body().get("api_key").asString())
                .doesNotHaveDuplicates();
        for (RunningCoordinator at : List.of(one, other)) {
            await().atMost(LONG)
                    .until(() -> at.get("/keys")
                                    .body()
                                    .get("keys")
                                    .valueStream()
                                    .filter(key -> key.get("name").asString().equals("race-keys"))
                                    .count()
                            == CALLERS);
        }
    }

    /** A coordinator that has already read the revocation by another one answers 404. */
    private static void aKeyIsRevoked(String path) {
        String keyId = one.post("/keys", "{\"name\":\"race-revoked\",\"role\":\"viewer\"}")
                .body()
                .at("/key/key_id")
                .asString();
        await().atMost(LONG).until(() -> other.get("/keys").body().toString().contains(keyId));
        assertThat(race("DELETE", path + keyId, null))
                .extracting(Answer::code)
                .contains(200)
                .isSubsetOf(200, 404);
        await().atMost(LONG).until(() -> !other.get("/keys").body().toString().contains(keyId));
    }

    private static void oneSubmissionIsAccepted() {
        one.register("race-submit", CALLERS, "race-submit");
        List<Answer> answers = race(
                "POST",
                i -> "/tasks/submit",
                i -> "{\"task_id\":\"race-submitted\",\"task_data\":{\"n\":" + i
                        + "},\"requirements\":{\"capabilities\":[\"race-submit\"]}}");

        assertAllAccepted(answers);
        List<Answer> won = answers.stream()
                .filter(answer -> !answer.body().has("existing_status"))
                .toList();
        assertThat(won).extracting(CommandRaceTest::message).containsExactly("Task submitted");
        assertThat(answers)
                .extracting(answer -> answer.body().get("submitted_at"))
                .containsOnly(won.get(0).body().get("submitted_at"));
        List<JsonNode> all = assertOnlyThese("race-submit", "race-submit", "race-submitted:1");
        assertThat(all.get(0).at("/task_data/n").asInt()).isEqualTo(answers.indexOf(won.get(0)));
    }

    private static void eachTaskOfABatchIsAcceptedFromOne() {
        one.register("race-batch", 100, "race-batch");
        List<Answer> answers = race("POST", i -> "/tasks/submit/batch", CommandRaceTest::batch);

        assertAllAccepted(answers);
        Map<String, Integer> accepted = new TreeMap<>();
        int repeated = 0;
        for (Answer answer : answers) {
            for (JsonNode result : answer.body().get("results")) {
                boolean isRepeated = result.get("status").asString().equals("repeated");
                assertThat(result.has("existing_status")).isEqualTo(isRepeated);
                repeated += isRepeated ? 1 : 0;
                accepted.merge(result.get("task_id").asString(), isRepeated ? 0 : 1, Integer::sum);
            }
        }
        assertThat(accepted).hasSize(5 + CALLERS);
        assertThat(accepted.values()).containsOnly(1);
        assertThat(repeated).isEqualTo(5 * (CALLERS - 1));
        assertOnlyThese(
                "race-batch",
                "race-batch",
                accepted.keySet().stream().map(id -> id + ":1").toArray(String[]::new));
    }

    /** Five tasks that all callers submit, in different orders, and one of the caller's own. */
    private static String batch(int caller) {
        ArrayNode tasks = Json.MAPPER.createArrayNode();
        IntStream.range(0, 5)
                .map(i -> (i + caller) % 5)
                .forEach(i -> tasks.add(Json.MAPPER.readTree(
                        requiring("race-batch").replaceFirst("\\{", "{\"task_id\":\"race-batch-" + i + "\","))));
        tasks.add(Json.MAPPER.readTree(
                requiring("race-batch").replaceFirst("\\{", "{\"task_id\":\"race-own-" + caller + "\",")));
        return Json.text(tasks);
    }

    private static void aTaskIsCancelledOnceAndItsAgentNotifiedOnce() {
        one.register("race-cancel", CALLERS, "race-cancel");
        String task = one.submit(requiring("race-cancel"));
        one.awaitRecords("assignments.race-cancel", 1);
        one.awaitTask(task, "assigned");
        long before = cancelled();

        List<Answer> answers = race("POST", "/tasks/" + task + "/cancel", "");

        assertAllAccepted(answers);
        assertOneWins(answers, "Task cancelled, agent race-cancel is being notified", "Task was already cancelled");
        assertThat(cancelled()).isEqualTo(before + 1);
        assertOnlyThese("race-cancel", "race-cancel", task + ":1", task + ":1");
    }

    private static void anAssignmentIsServedToOneClaim() {
        one.post(
                "/agents/register",
                "{\"agent_id\":\"race-claims\",\"agent_type\":\"worker\",\"capabilities\":[\"race-claims\"],\"delivery\":\"pull\"}");
        String task = one.submit(requiring("race-claims"));

        List<Answer> answers = race(
                "POST",
                i -> "/agents/race-claims/assignments/claim",
                i -> "{\"instance_id\":\"instance-" + i + "\",\"wait_seconds\":5}");

        assertAllAccepted(answers);
        assertThat(answers)
                .flatExtracting(
                        answer -> answer.body().get("assignments").valueStream().toList())
                .singleElement()
                .satisfies(assignment ->
                        assertThat(assignment.get("task_id").asString()).isEqualTo(task));
    }

    private static void oneResultCounts() {
        one.register("race-reports", CALLERS, "race-reports");
        String task = one.submit(requiring("race-reports"));
        one.awaitRecords("assignments.race-reports", 1);
        one.awaitTask(task, "assigned");
        long before = completed();

        List<Answer> answers = race(
                "POST",
                i -> "/tasks/" + task + "/results",
                i -> "{\"attempt\":1,\"agent_id\":\"race-reports\",\"status\":\"completed\",\"result\":" + i + "}");

        assertThat(answers).extracting(Answer::code).containsOnly(202);
        assertThat(one.awaitTask(task, "completed").get("result").asInt()).isBetween(0, CALLERS - 1);
        assertOnlyThese("race-reports", "race-reports", task + ":1");
        assertThat(completed()).isEqualTo(before + 1);
    }

    private static long completed() {
        return one.get("/tasks/status").body().at("/stats/tasks_completed").asLong();
    }

    private static void aTaskIsRedrivenOnce() {
        one.register("race-redrive", CALLERS, "race-redrive");
        String task =
                one.submit(requiring("race-redrive").replaceFirst("\\{", "{\"max_attempts\":1,\"priority\":\"high\","));
        one.report(one.awaitRecords("assignments.race-redrive", 1).get(0), "failed", "on purpose");
        one.awaitTask(task, "failed");
        one.send("PUT", "/agents/race-redrive/status", "{\"status\":\"maintenance\"}");

        List<Answer> answers = race("POST", "/tasks/dead-letter/" + task + "/redrive", "");

        assertAllAccepted(answers);
        assertOneWins(answers, "Task queued again", "Task is already queued again");
        assertThat(one.get("/tasks/queues").body().at("/queue_sizes/high").asInt())
                .isEqualTo(1);
        one.send("PUT", "/agents/race-redrive/status", "{\"status\":\"active\"}");
        assertOnlyThese("race-redrive", "race-redrive", task + ":1", task + ":2");
    }

    private static void aTaskIsRetriedOnce() {
        one.register("race-retry", CALLERS, "race-retry");
        String task = one.submit(requiring("race-retry"));
        one.report(one.awaitRecords("assignments.race-retry", 1).get(0), "completed", null);
        one.awaitTask(task, "completed");
        await().atMost(LONG)
                .until(() -> one.get("/tasks?status=completed&id=" + task)
                                .body()
                                .get("count")
                                .asInt()
                        == 1);

        List<Answer> answers = race("POST", "/tasks/" + task + "/retry", "{\"task_id\":\"race-retried\"}");

        assertAllAccepted(answers);
        assertThat(answers.stream()
                        .filter(answer ->
                                answer.body().get("message").asString().equals("Task submitted")))
                .hasSize(1);
        assertOnlyThese("race-retry", "race-retry", task + ":1", "race-retried:1");
    }

    private static void aBulkOperationBeginsOnce(String kind) {
        List<Answer> answers = race(
                "POST",
                "/tasks/bulk/" + kind,
                "{\"bulk_id\":\"race-" + kind + "\",\"filter\":{\"task_type\":\"race-none\"}}");

        assertAllAccepted(answers);
        assertThat(answers.stream()
                        .map(answer -> answer.body().get("created_at").asString()))
                .hasSize(CALLERS)
                .allMatch(answers.get(0).body().get("created_at").asString()::equals);
    }

    private static void eachTaskIsClearedForOne() {
        List<String> tasks = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            tasks.add(one.submit(requiring("race-nobody").replaceFirst("\\{", "{\"priority\":\"low\",")));
        }
        long before = cancelled();

        List<Answer> answers = race("POST", "/tasks/queues/low/clear", "");

        assertAllAccepted(answers);
        assertThat(answers.stream()
                        .mapToInt(answer -> answer.body().get("cleared_count").asInt())
                        .sum())
                .isEqualTo(tasks.size());
        assertThat(cancelled()).isEqualTo(before + tasks.size());
        tasks.forEach(task -> other.awaitTask(task, "cancelled"));
    }

    private static void pauses(String command, boolean paused) {
        List<Answer> answers = race("POST", "/tasks/queues/urgent/" + command, "");
        assertAllAccepted(answers);
        assertThat(answers)
                .extracting(answer -> answer.body().get("paused").asBoolean())
                .containsOnly(paused);
        for (RunningCoordinator coordinator : List.of(one, other)) {
            await().atMost(LONG)
                    .until(() -> coordinator
                                    .get("/tasks/queues/urgent")
                                    .body()
                                    .get("paused")
                                    .asBoolean()
                            == paused);
        }
    }

    private static void oneOfTheWeightsIsSet() {
        assertAllAccepted(race("PUT", i -> "/fairness/raced", i -> "{\"weight\":" + (i + 1) + "}"));
        await().atMost(LONG).until(() -> weight(one) > 0 && weight(one) == weight(other));
    }

    private static void aWeightIsDeleted() {
        assertThat(one.send("PUT", "/fairness/raced", "{\"weight\":3}").code()).isEqualTo(200);
        await().atMost(LONG).until(() -> weight(other) == 3);
        assertThat(race("DELETE", "/fairness/raced", null))
                .extracting(Answer::code)
                .contains(200)
                .allMatch(code -> code == 200 || code == 404);
        await().atMost(LONG).until(() -> weight(one) == 0 && weight(other) == 0);
    }

    /** The weight of the raced key; 0 if none is set. */
    private static double weight(RunningCoordinator coordinator) {
        return coordinator
                .get("/fairness")
                .body()
                .get("keys")
                .valueStream()
                .filter(key -> key.get("fairness_key").asString().equals("raced"))
                .mapToDouble(key -> key.path("weight").asDouble(0))
                .sum();
    }

    private static void oneOfTheLimitsIsDefined() {
        assertAllAccepted(race("PUT", i -> "/limits/raced", i -> "{\"concurrency\":" + (i + 1) + "}"));
        await().atMost(LONG).until(() -> concurrency(one) > 0 && concurrency(one) == concurrency(other));
        // Both go by the same version: what uses the limit is assigned.
        one.register("raced-limit", 1, "raced-limit");
        String task = other.submit(
                "{\"task_data\":{},\"uses\":{\"raced\":1},\"requirements\":{\"capabilities\":[\"raced-limit\"]}}");
        one.awaitTask(task, "assigned");
    }

    private static void aLimitIsRemoved() {
        assertThat(one.send("PUT", "/limits/raced", "{\"concurrency\":3}").code())
                .isEqualTo(200);
        await().atMost(LONG).until(() -> concurrency(other) == 3);
        assertThat(race("DELETE", "/limits/raced", null))
                .extracting(Answer::code)
                .contains(200)
                .allMatch(code -> code == 200 || code == 404);
        await().atMost(LONG).until(() -> concurrency(one) == 0 && concurrency(other) == 0);
    }

    /** The concurrency of the raced limit; 0 if it is not defined. */
    private static long concurrency(RunningCoordinator coordinator) {
        return coordinator
                .get("/limits/raced")
                .body()
                .at("/limit/limit/concurrency")
                .asLong(0);
    }

    private static void allSwitchToTheSameStrategy() {
        List<Answer> answers = race("PUT", "/load-balancer/strategy", "{\"strategy\":\"round_robin\"}");
        assertAllAccepted(answers);
        for (RunningCoordinator coordinator : List.of(one, other)) {
            await().atMost(LONG)
                    .until(() -> coordinator
                            .get("/load-balancer/stats")
                            .body()
                            .at("/stats/strategy")
                            .asString("")
                            .equals("round_robin"));
        }
    }

    private static List<Answer> race(String method, String path, @Nullable String body) {
        return race(method, i -> path, i -> body);
    }

    /** Returns the response of each caller, by its number. */
    private static List<Answer> race(String method, IntFunction<String> path, IntFunction<@Nullable String> body) {
        CyclicBarrier together = new CyclicBarrier(CALLERS);
        List<Future<Answer>> asked = IntStream.range(0, CALLERS)
                .mapToObj(i -> THREADS.submit(() -> {
                    together.await();
                    return (i % 2 == 0 ? one : other).send(method, path.apply(i), body.apply(i));
                }))
                .toList();
        return asked.stream().map(CommandRaceTest::join).toList();
    }

    private static Answer join(Future<Answer> asked) {
        try {
            return asked.get();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static void assertAllAccepted(List<Answer> answers) {
        assertThat(answers)
                .allSatisfy(answer ->
                        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200));
    }

    private static void assertOneWins(List<Answer> answers, String wins, String isSo) {
        assertThat(answers).extracting(CommandRaceTest::message).containsOnlyOnce(wins);
        assertThat(answers)
                .extracting(CommandRaceTest::message)
                .filteredOn(isSo::equals)
                .hasSize(CALLERS - 1);
    }

    private static String message(Answer answer) {
        return answer.body().path("message").asString("");
    }

    /** Checks that an agent's topic holds only these messages of any kind: any later message would follow a task submitted now. */
    private static List<JsonNode> assertOnlyThese(String agentId, String capability, String... assignmentIds) {
        String last = one.submit(requiring(capability));
        List<String> wanted = new ArrayList<>(List.of(assignmentIds));
        wanted.add(last + ":1");
        one.awaitTask(last, "assigned");
        List<JsonNode> all = new ArrayList<>();
        await().atMost(LONG).until(() -> {
            all.clear();
            all.addAll(one.awaitRecords("assignments." + agentId, wanted.size()));
            return all.stream()
                    .anyMatch(record -> record.get("task_id").asString().equals(last));
        });
        assertThat(all)
                .extracting(record -> record.get("assignment_id").asString())
                .containsExactlyInAnyOrderElementsOf(wanted);
        return all;
    }

    private static long cancelled() {
        return one.get("/tasks/status").body().at("/stats/tasks_cancelled").asLong();
    }

    private static String requiring(String capability) {
        return "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"" + capability + "\"]}}";
    }
}

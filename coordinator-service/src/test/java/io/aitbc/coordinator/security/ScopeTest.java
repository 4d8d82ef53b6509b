package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Submitters with a scope: they see the tasks of their fairness key, and nothing of others. */
class ScopeTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final int DATABASE = 13;
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";

    private static RunningCoordinator coordinator;
    private static String ada;
    private static String bob;

    @TempDir
    private static Path folder;

    private static LocalPostgres postgres;

    @BeforeAll
    static void start() {
        postgres = LocalPostgres.start(folder, LocalStack.freePort());
        coordinator = RunningCoordinator.start(
                LocalStack.shared(),
                "scope.",
                DATABASE,
                "--aitbc.history.url=" + postgres.url(),
                "--aitbc.security=on",
                "--aitbc.jwt.secret=a secret of at least 32 bytes, for tests",
                "--aitbc.admin.key=" + ADMIN_KEY,
                "--aitbc.limits.waiting-per-scope=50",
                "--aitbc.settle.retry-backoff=10ms");
        ada = key("ada");
        bob = key("bob");
    }

    @AfterAll
    static void stop() {
        coordinator.close();
        postgres.close();
    }

    private static String key(String scope) {
        return as(
                        ADMIN_KEY,
                        "POST",
                        "/keys",
                        "{\"name\":\"x\",\"role\":\"submitter\",\"fairness_key\":\"" + scope + "\"}")
                .body()
                .get("api_key")
                .asString();
    }

    private static Answer as(String key, String method, String path, @Nullable String body) {
        return coordinator.send(request(key, path)
                .header("Content-Type", "application/json")
                .method(
                        method,
                        body == null
                                ? HttpRequest.BodyPublishers.noBody()
                                : HttpRequest.BodyPublishers.ofString(body)));
    }

    private static HttpRequest.Builder request(String key, String path) {
        return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + coordinator.port() + path))
                .header("Authorization", "Bearer " + key);
    }

    /** A task that no agent can take, unless {@code more} has other requirements. */
    private static Answer submit(String key, String id, String more) {
        String fields = more.contains("requirements") ? more : more + ",\"requirements\":{\"capabilities\":[\"none\"]}";
        return as(key, "POST", "/tasks/submit", "{\"task_id\":\"" + id + "\",\"task_data\":{}" + fields + "}");
    }

    private static String detail(Answer answer) {
        return answer.body().get("detail").asString();
    }

    @Test
    void aTaskGetsTheKeyOfItsSubmitterAndIsSeenByNoOther() {
        assertThat(submit(ada, "seen", "").code()).isEqualTo(200);

        assertThat(as(ada, "GET", "/tasks/seen", null)
                        .body()
                        .get("fairness_key")
                        .asString())
                .isEqualTo("ada");
        for (String path : List.of("/tasks/seen", "/tasks/seen/explain", "/tasks/seen?wait=1s", "/v1/tasks/seen")) {
            Answer refused = as(bob, "GET", path, null);
            assertThat(refused.code()).as(path).isEqualTo(404);
            assertThat(detail(refused)).isEqualTo("Task not found");
        }
        for (String path : List.of("/tasks/seen/cancel", "/tasks/seen/token")) {
            assertThat(as(bob, "POST", path, "").code()).as(path).isEqualTo(404);
        }
        assertThat(as(ada, "POST", "/tasks/seen/cancel", "").code()).isEqualTo(200);
    }

    @Test
    void theIdOfAnothersTaskIsTakenWithoutDetails() {
        submit(ada, "taken", "");

        Answer refused = submit(bob, "taken", "");

        assertThat(refused.code()).isEqualTo(409);
        assertThat(refused.body().propertyNames())
                .containsExactlyInAnyOrder("status", "title", "detail", "instance", "message", "timestamp");
        assertThat(detail(refused)).isEqualTo("task_id is already in use");
        assertThat(submit(ada, "taken", "").body().get("existing_status").asString())
                .isEqualTo("queued");
        JsonNode batch = as(
                        bob,
                        "POST",
                        "/tasks/submit/batch",
                        "[{\"task_id\":\"taken\",\"task_data\":{}},{\"task_data\":{}},{\"task_data\":{},\"fairness_key\":\"ada\"}]")
                .body();
        assertThat(batch.get("refused").asInt()).isEqualTo(2);
        assertThat(batch.at("/results/0/detail").asString()).isEqualTo("task_id is already in use");
        assertThat(batch.at("/results/2/detail").asString()).isEqualTo("this credential is for another fairness_key");
        assertThat(as(bob, "POST", "/tasks/submit/batch", "[{\"task_id\":\"taken\",\"task_data\":{}}]")
                        .body()
                        .get("refused")
                        .asInt())
                .isEqualTo(1);
    }

    @Test
    void anotherKeyIsRefusedAndWhoSeesAllTasksMayChooseOne() {
        assertThat(submit(ada, "foreign", ",\"fairness_key\":\"bob\"").code()).isEqualTo(403);
        assertThat(submit(ada, "own", ",\"fairness_key\":\"ada\"").code()).isEqualTo(200);
        assertThat(submit(ADMIN_KEY, "chosen", ",\"fairness_key\":\"bob\"").code())
                .isEqualTo(200);
        Answer weighed = submit(ada, "weighed", ",\"fairness_weight\":1000");
        assertThat(weighed.code()).isEqualTo(403);
        assertThat(detail(weighed))
                .isEqualTo("this credential may not set fairness_weight: operators set the weight of a fairness_key");
        assertThat(submit(ADMIN_KEY, "weighed", ",\"fairness_key\":\"bob\",\"fairness_weight\":2")
                        .code())
                .isEqualTo(200);
        assertThat(as(bob, "GET", "/tasks/chosen", null).code()).isEqualTo(200);
        assertThat(submit(ADMIN_KEY, "nobodys", "").code()).isEqualTo(200);
        assertThat(as(ada, "GET", "/tasks/nobodys", null).code()).isEqualTo(404);
    }

    @Test
    void aTenantCannotUseUpTheLimitOfAnother() {
        String ofEach = "{\"concurrency\":3,\"applies_to\":{\"fairness_key\":\"*\"}}";
        assertThat(as(ADMIN_KEY, "PUT", "/limits/customer/*", ofEach).code()).isEqualTo(200);
        assertThat(as(ADMIN_KEY, "PUT", "/limits/shared-api", "{\"concurrency\":3}")
                        .code())
                .isEqualTo(200);

        Answer refused = submit(ada, "takes-others", ",\"uses\":{\"shared-api\":1,\"customer/bob\":3}");
        assertThat(refused.code()).isEqualTo(403);
        assertThat(detail(refused))
                .isEqualTo("this credential may not use the limit customer/bob, which is another fairness_key's");
        assertThat(submit(ada, "takes-own", ",\"uses\":{\"shared-api\":1,\"customer/ada\":2}")
                        .code())
                .isEqualTo(200);
        assertThat(submit(ADMIN_KEY, "may", ",\"uses\":{\"customer/bob\":1}").code())
                .isEqualTo(200);
        String batch = "[{\"task_data\":{},\"uses\":{\"customer/bob\":1}}]";
        assertThat(as(ada, "POST", "/tasks/submit/batch", batch)
                        .body()
                        .at("/results/0/detail")
                        .asString())
                .contains("customer/bob");
        as(ADMIN_KEY, "DELETE", "/limits/customer/*", null);
        as(ADMIN_KEY, "DELETE", "/limits/shared-api", null);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "a\\u0000b", "12345678901234567890123456789012345678901234567890123456789012345"})
    void aFairnessKeyHasARule(String key) {
        Answer refused = submit(ADMIN_KEY, "badly-keyed", ",\"fairness_key\":\"" + key + "\"");
        assertThat(refused.code()).isEqualTo(422);
        assertThat(detail(refused)).contains("fairness_key must have 1 to 64 characters");
    }

    @Test
    void listsHaveOwnTasksOnly() {
        for (int i = 0; i < 3; i++) {
            submit(ada, "listed-ada-" + i, ",\"priority\":\"low\"");
            submit(bob, "listed-bob-" + i, ",\"priority\":\"low\"");
        }
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(ids(as(bob, "GET", "/tasks/queues/low?limit=2", null), "tasks"))
                        .containsExactly("listed-bob-0", "listed-bob-1"));
        assertThat(ids(as(ADMIN_KEY, "GET", "/tasks/queues/low", null), "tasks"))
                .hasSizeGreaterThanOrEqualTo(6);

        coordinator.register("failing", 5, "failing");
        submit(ada, "dead-ada", ",\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"failing\"]}");
        submit(bob, "dead-bob", ",\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"failing\"]}");
        for (JsonNode assignment : coordinator.awaitRecords("assignments.failing", 2)) {
            assertThat(assignment.get("fairness_key").asString())
                    .isEqualTo(assignment.get("task_id").asString().substring("dead-".length()));
            coordinator.report(assignment, "failed", "on purpose");
        }
        coordinator.awaitTask("dead-ada", "failed");
        coordinator.awaitTask("dead-bob", "failed");
        assertThat(ids(as(ada, "GET", "/tasks/dead-letter", null), "dead_letters"))
                .containsExactly("dead-ada");
        assertThat(as(ADMIN_KEY, "POST", "/tasks/dead-letter/dead-ada/redrive", "")
                        .code())
                .isEqualTo(200);
        assertThat(as(ada, "GET", "/tasks/dead-ada", null).code()).isEqualTo(200);
        assertThat(as(bob, "GET", "/tasks/dead-ada", null).code()).isEqualTo(404);
    }

    private static List<String> ids(Answer answer, String list) {
        return answer.body()
                .get(list)
                .valueStream()
                .map(one -> one.get("task_id").asString())
                .toList();
    }

    @Test
    void explanationsHaveCountsAndNoNames() {
        coordinator.register("explained-agent", 1, "unrelated");
        submit(ada, "explained", "");

        JsonNode scoped = as(ada, "GET", "/tasks/explained/explain", null).body();

        assertThat(scoped.toString()).doesNotContain("explained-agent");
        assertThat(scoped.get("explanation").asString()).isEqualTo("no agent can take it");
        assertThat(scoped.at("/waiting/agents/total").asInt()).isPositive();
        assertThat(scoped.at("/waiting/agents/ruled_out").isEmpty()).isFalse();
        assertThat(as(ADMIN_KEY, "GET", "/tasks/explained/explain", null).body().toString())
                .contains("explained-agent");
    }

    @Test
    void liveUpdatesShowOwnTasksOnly() throws Exception {
        submit(ada, "watched", "");

        assertThat(firstOf(ada, "tasks/watched")).contains("\"status\":\"queued\"");
        assertThat(firstOf(bob, "tasks/watched"))
                .contains("\"status\":\"unknown\"")
                .doesNotContain("ada");
        for (String topic : List.of("agents", "queues", "stats", "history")) {
            Answer refused = as(ada, "GET", "/events?topics=" + topic, null);
            assertThat(refused.code()).isEqualTo(422);
            assertThat(detail(refused)).isEqualTo("this credential may not subscribe to topic " + topic);
        }
    }

    /** Once Redis has forgotten a task, its id is free, also for another tenant. */
    @Test
    void anIdThatIsUsedAgainShowsNothingOfTheEarlierTask() {
        coordinator.register("forgetful", 1, "forgetful");
        submit(ada, "used-again", ",\"requirements\":{\"capabilities\":[\"forgetful\"]},\"labels\":{\"of\":\"ada\"}");
        coordinator.report(coordinator.awaitRecords("assignments.forgetful", 1).get(0), "completed", null);
        await().atMost(LONG)
                .until(() -> as(ada, "GET", "/tasks?status=completed&id=used-again", null)
                                .body()
                                .get("count")
                                .asInt()
                        == 1);
        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE)) {
            client.connect().sync().del("task:used-again");
        }
        assertThat(as(bob, "GET", "/tasks/used-again", null).code()).isEqualTo(404);

        submit(bob, "used-again", ",\"not_before\":\"" + Instant.now().plusSeconds(3_600) + "\"");

        JsonNode seen = as(bob, "GET", "/tasks/used-again", null).body();
        assertThat(seen.get("status").asString()).isEqualTo("queued");
        assertThat(seen.has("attempts") && !seen.get("attempts").isEmpty()).isFalse();
        assertThat(seen.toString()).doesNotContain("\"ada\"", "done");
        assertThat(as(ada, "GET", "/tasks/used-again", null).code()).isEqualTo(404);
        assertThat(as(ada, "GET", "/tasks?id=used-again", null).body().get("tasks"))
                .isEmpty();
    }

    @Test
    void aSearchFindsTheTasksOfItsScopeOnly() {
        submit(ada, "searched-ada", ",\"priority\":\"low\"");
        submit(bob, "searched-bob", ",\"priority\":\"low\"");
        await().atMost(LONG)
                .until(() -> as(ADMIN_KEY, "GET", "/tasks?id=searched-", null)
                                .body()
                                .get("count")
                                .asInt()
                        == 2);

        Answer found = as(ada, "GET", "/tasks?id=searched-", null);
        assertThat(found.body().get("count").asInt()).isEqualTo(1);
        assertThat(found.body().at("/tasks/0/task_id").asString()).isEqualTo("searched-ada");
        assertThat(as(ada, "GET", "/tasks?fairness_key=ada&id=searched-", null)
                        .body()
                        .get("count")
                        .asInt())
                .isEqualTo(1);
        Answer others = as(ada, "GET", "/tasks?fairness_key=bob", null);
        assertThat(others.code()).isEqualTo(403);
        assertThat(detail(others)).isEqualTo("this credential is for another fairness_key");
        Answer byAgent = as(ada, "GET", "/tasks?agent_id=unnamed-agent", null);
        assertThat(byAgent.code()).isEqualTo(403);
        assertThat(detail(byAgent)).isEqualTo("this credential may not search by agent");
    }

    /** Neither while an agent has its task nor afterwards: who works for a tenant is not the tenant's to know. */
    @Test
    void noAgentIsNamed() throws Exception {
        coordinator.register("unnamed-agent", 5, "unnamed");
        String requirements = ",\"requirements\":{\"capabilities\":[\"unnamed\"]}";
        submit(ada, "held-by-unnamed", requirements);
        submit(ada, "done-by-unnamed", requirements);
        JsonNode done = coordinator.awaitRecords("assignments.unnamed-agent", 2).stream()
                .filter(one -> one.get("task_id").asString().equals("done-by-unnamed"))
                .findFirst()
                .orElseThrow();
        coordinator.report(done, "completed", null);
        coordinator.awaitTask("done-by-unnamed", "completed");
        coordinator.awaitTask("held-by-unnamed", "assigned");

        Map<String, String> variables =
                Map.of("{task_id}", "held-by-unnamed", "{priority}", "normal", "{role}", "viewer");
        await().atMost(LONG)
                .until(() ->
                        as(ada, "GET", "/tasks/done-by-unnamed", null).body().has("attempts"));
        List<String> paths = new ArrayList<>(List.of("/tasks/done-by-unnamed", "/tasks/done-by-unnamed?wait=1s"));
        for (AccessRules.Rule rule : AccessRules.all()) {
            String path = rule.path().getPatternString();
            for (Map.Entry<String, String> variable : variables.entrySet()) {
                path = path.replace(variable.getKey(), variable.getValue());
            }
            if (rule.method().equals("GET") && rule.isForScoped() && !path.contains("*") && !path.contains("{")) {
                paths.add(path);
            }
        }
        assertThat(paths).hasSizeGreaterThan(8).contains("/tasks/held-by-unnamed/explain", "/tasks/queues");
        paths.removeAll(List.of("/events", "/ws", "/docs", "/asyncapi.yaml", "/openapi.json.yaml"));
        for (String path : paths) {
            Answer answer = as(ada, "GET", path, null);
            assertThat(answer.code()).as(path).isEqualTo(200);
            assertThat(answer.body().toString()).as(path).doesNotContain("unnamed-agent");
        }
        for (String task : List.of("tasks/held-by-unnamed", "tasks/done-by-unnamed")) {
            assertThat(firstOf(ada, task)).contains("by-unnamed").doesNotContain("unnamed-agent");
        }
        assertThat(as(ada, "POST", "/tasks/held-by-unnamed/cancel", "").body().toString())
                .contains("its agent is being notified")
                .doesNotContain("unnamed-agent");
        for (String path : List.of("/tasks/status", "/tasks/queues/stats", "/coordinators", "/load-balancer/stats")) {
            assertThat(as(ada, "GET", path, null).code()).as(path).isEqualTo(403);
        }
    }

    /** The first message of a stream of server-sent events. */
    private static String firstOf(String key, String topic) throws Exception {
        HttpResponse<InputStream> stream =
                HTTP.send(request(key, "/events?topics=" + topic).build(), HttpResponse.BodyHandlers.ofInputStream());
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(stream.body(), StandardCharsets.UTF_8))) {
            return lines.lines()
                    .filter(line -> line.startsWith("data:") && !line.contains("\"kind\":\"alive\""))
                    .findFirst()
                    .orElseThrow();
        }
    }

    /** Else the time of the answer would tell that the task exists. */
    @Test
    void aLongPollForAnothersEndedTaskIsLikeOneForAnUnknownTask() {
        submit(ada, "ended", "");
        as(ada, "POST", "/tasks/ended/cancel", "");
        long began = System.nanoTime();

        Answer refused = as(bob, "GET", "/tasks/ended?wait=2s", null);

        assertThat(refused.code()).isEqualTo(404);
        assertThat(Duration.ofNanos(System.nanoTime() - began)).isGreaterThanOrEqualTo(Duration.ofSeconds(2));
        assertThat(as(ada, "GET", "/tasks/ended?wait=2s", null)
                        .body()
                        .get("status")
                        .asString())
                .isEqualTo("cancelled");
    }

    @Test
    void theScopeOutlivesRedis() {
        coordinator.register("rebuilding", 10, "rebuilding");
        String requirements = ",\"requirements\":{\"capabilities\":[\"rebuilding\"]}";
        submit(ada, "completed-before", requirements);
        submit(ada, "assigned-before", requirements);
        submit(ada, "queued-before", "");
        List<JsonNode> assignments = coordinator.awaitRecords("assignments.rebuilding", 2);
        assignments.stream()
                .filter(one -> one.get("task_id").asString().startsWith("completed"))
                .forEach(one -> coordinator.report(one, "completed", null));
        coordinator.awaitTask("completed-before", "completed");

        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE)) {
            client.connect().sync().flushdb();
        }

        for (String id : List.of("completed-before", "assigned-before", "queued-before")) {
            await().atMost(LONG)
                    .until(() -> as(ada, "GET", "/tasks/" + id, null).code() == 200);
            assertThat(as(bob, "GET", "/tasks/" + id, null).code()).isEqualTo(404);
        }
    }

    @Test
    void aScopeMayHaveSoManyTasksWaiting() {
        String eve = key("eve");
        String task = "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"eves\"]}}";
        assertThat(as(eve, "POST", "/tasks/submit/batch", "[" + (task + ",").repeat(49) + task + "]")
                        .body()
                        .get("accepted")
                        .asInt())
                .isEqualTo(50);

        Answer refused = as(eve, "POST", "/tasks/submit", task);

        assertThat(refused.code()).isEqualTo(429);
        assertThat(detail(refused)).isEqualTo("50 tasks of this fairness_key are waiting, and the limit is 50");
        assertThat(as(ada, "POST", "/tasks/submit", task).code()).isEqualTo(200);
        // Cancelled and assigned tasks wait no longer.
        String first = ids(as(eve, "GET", "/tasks/queues/normal?limit=1", null), "tasks")
                .get(0);
        as(eve, "POST", "/tasks/" + first + "/cancel", "");
        assertThat(as(eve, "POST", "/tasks/submit", task).code()).isEqualTo(200);
        assertThat(as(eve, "POST", "/tasks/submit", task).code()).isEqualTo(429);
        coordinator.register("eves-agent", 10, "eves");
        coordinator.awaitRecords("assignments.eves-agent", 10);
        await().atMost(LONG).until(() -> as(eve, "POST", "/tasks/submit", task).code() == 200);
        // Nor do those that Redis has forgotten.
        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE)) {
            for (int i = 0; i < 60; i++) {
                client.connect().sync().zadd("waiting:eve", 1, "forgotten-" + i);
            }
        }
        assertThat(as(eve, "POST", "/tasks/submit", task).code()).isEqualTo(200);
    }

    /** A record with the same id, such as one that was accepted while Redis was down, does not change whose task it is. */
    @Test
    void aTaskKeepsTheScopeOfItsFirstRecord() {
        submit(ada, "kept", "");
        coordinator.publish(
                "tasks.urgent",
                "kept",
                "{\"task_id\":\"kept\",\"task_data\":{},\"fairness_key\":\"bob\",\"requirements\":{\"capabilities\":[\"none\"]}}");
        submit(ADMIN_KEY, "keyless", "");
        coordinator.publish(
                "tasks.urgent",
                "keyless",
                "{\"task_id\":\"keyless\",\"task_data\":{},\"fairness_key\":\"bob\",\"requirements\":{\"capabilities\":[\"keeping\"]}}");
        await().atMost(LONG)
                .until(() -> ids(as(ADMIN_KEY, "GET", "/tasks/queues/urgent?limit=100", null), "tasks")
                        .containsAll(List.of("kept", "keyless")));
        coordinator.register("keeper", 1, "keeping");
        coordinator.awaitRecords("assignments.keeper", 1);

        for (String id : List.of("kept", "keyless")) {
            assertThat(as(bob, "GET", "/tasks/" + id, null).code()).as(id).isEqualTo(404);
        }
        assertThat(as(ada, "GET", "/tasks/kept", null).code()).isEqualTo(200);
    }

    @Test
    void anExpiredTaskKeepsItsScope() {
        submit(ada, "expiring", ",\"expires_at\":\"" + Instant.now().plusSeconds(1) + "\"");

        await().atMost(LONG)
                .until(() -> as(ada, "GET", "/tasks/expiring", null)
                        .body()
                        .get("status")
                        .asString()
                        .equals("expired"));
        assertThat(as(bob, "GET", "/tasks/expiring", null).code()).isEqualTo(404);
    }

    @Test
    void aTokenForATaskReadsThatTaskOnly() throws Exception {
        submit(ada, "shared", "");
        submit(ada, "other", "");

        JsonNode answer =
                as(ada, "POST", "/tasks/shared/token?expires_in_seconds=60", "").body();

        String token = answer.get("token").asString();
        assertThat(Instant.parse(answer.get("expires_at").asString()))
                .isBetween(Instant.now().plusSeconds(30), Instant.now().plusSeconds(61));
        assertThat(as(token, "GET", "/tasks/shared", null).code()).isEqualTo(200);
        assertThat(as(token, "GET", "/tasks/shared?wait=1s", null).code()).isEqualTo(200);
        assertThat(firstOf(token, "tasks/shared")).contains("\"status\":\"queued\"");
        assertThat(as(token, "GET", "/tasks/other", null).code()).isEqualTo(404);
        assertThat(as(token, "GET", "/events?topics=tasks/other", null).code()).isEqualTo(422);
        assertThat(as(token, "GET", "/events?topics=queues", null).code()).isEqualTo(422);
        for (String path : List.of("/tasks/status", "/tasks/shared/explain", "/agents", "/keys", "/docs")) {
            assertThat(as(token, "GET", path, null).code()).as(path).isEqualTo(403);
        }
        for (String path : List.of("/tasks/shared/cancel", "/tasks/shared/token", "/tasks/submit")) {
            assertThat(as(token, "POST", path, "{\"task_data\":{}}").code())
                    .as(path)
                    .isEqualTo(403);
        }
        for (int seconds : List.of(0, 3_601)) {
            assertThat(as(ada, "POST", "/tasks/shared/token?expires_in_seconds=" + seconds, "")
                            .code())
                    .isEqualTo(422);
        }
    }
}

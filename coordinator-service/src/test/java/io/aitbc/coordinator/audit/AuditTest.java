package io.aitbc.coordinator.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.coordinator.security.AccessRules;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;
import tools.jackson.databind.JsonNode;

/** Two coordinators with security on, which write to one topic. */
class AuditTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";
    private static final String PASSWORD = "correct horse battery";
    private static final String TOPIC = "coordinator.audit";
    private static final String[] SETTINGS = {
        "--aitbc.security=on",
        "--server.tomcat.remoteip.remote-ip-header=X-Forwarded-For",
        "--aitbc.admin.key=" + ADMIN_KEY,
        "--aitbc.jwt.secret=a secret of at least 32 bytes, for tests",
        "--aitbc.users.list=ada:operator:" + new BCryptPasswordEncoder(4).encode(PASSWORD)
    };

    private static RunningCoordinator one;
    private static RunningCoordinator other;
    /** What no record may contain. */
    private static final List<String> SECRETS = new ArrayList<>(List.of(ADMIN_KEY, PASSWORD));

    @TempDir
    private static Path folder;

    private static LocalPostgres postgres;

    @BeforeAll
    static void start() {
        postgres = LocalPostgres.start(folder, LocalStack.freePort());
        String[] settings = Stream.concat(Stream.of(SETTINGS), Stream.of("--aitbc.history.url=" + postgres.url()))
                .toArray(String[]::new);
        one = RunningCoordinator.start(LocalStack.shared(), "audit.", 6, settings);
        other = RunningCoordinator.start(LocalStack.shared(), "audit.", 6, settings);
    }

    @AfterAll
    static void stop() {
        other.close();
        one.close();
        postgres.close();
    }

    /** An API key, and its id. */
    private record Key(String secret, String id) {}

    private static Key key(String name, String role, String... more) {
        JsonNode created = one.post(
                        "/keys", "{\"name\":\"%s\",\"role\":\"%s\"%s}".formatted(name, role, String.join("", more)))
                .body();
        String secret = created.get("api_key").asString();
        SECRETS.add(secret);
        await().atMost(LONG)
                .until(() -> as(other, secret, "GET", "/auth/session", null).code() == 200);
        return new Key(secret, created.at("/key/key_id").asString());
    }

    private static Answer as(
            RunningCoordinator at, @Nullable String key, String method, String path, @Nullable String body) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + at.port() + path))
                .header("Content-Type", "application/json")
                .header("X-Forwarded-For", "203.0.113.9")
                .method(
                        method,
                        body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body));
        return at.send(key == null ? request : request.header("X-API-Key", key));
    }

    private static List<JsonNode> records(RunningCoordinator at, Predicate<JsonNode> wanted) {
        return at.get("/audit?limit=1000")
                .body()
                .get("records")
                .valueStream()
                .filter(wanted)
                .toList();
    }

    private static List<JsonNode> awaitRecords(int count, Predicate<JsonNode> wanted) {
        return await().atMost(LONG).until(() -> records(other, wanted), found -> found.size() >= count);
    }

    private static Predicate<JsonNode> by(String name) {
        return record -> record.at("/caller/name").asString("").equals(name);
    }

    private static Predicate<JsonNode> refused(String action, int status) {
        return record -> record.path("action").asString("").equals(action)
                && record.get("status").asInt() == status;
    }

    private static String action(JsonNode record) {
        return record.get("action").asString();
    }

    @AfterEach
    void noRecordHasASecret() {
        String all = one.awaitRaw(TOPIC, (int) one.written(TOPIC)).stream()
                .map(ConsumerRecord::value)
                .collect(Collectors.joining());
        assertThat(SECRETS)
                .hasSizeGreaterThan(2)
                .allSatisfy(secret -> assertThat(all).doesNotContain(secret));
    }

    @Test
    void everyActionIsRecordedOnce() {
        Key night = key("night shift", "admin");
        as(one, night.secret, "POST", "/agents/register", """
                {"agent_id":"pull-1","agent_type":"worker","delivery":"pull","capabilities":["pull"]}""");
        as(
                one,
                night.secret,
                "POST",
                "/tasks/submit",
                "{\"task_id\":\"fails\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"pull\"]}}");
        as(one, night.secret, "POST", "/agents/pull-1/assignments/claim", "{}");
        as(one, night.secret, "POST", "/tasks/fails/results", """
                {"agent_id":"pull-1","attempt":1,"status":"failed","error":"a bad prompt","retryable":false}""");
        one.awaitTask("fails", "failed");
        one.submit(
                "{\"task_id\":\"waits\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody-has-this\"]}}");
        Map<String, String> details = new TreeMap<>();
        await().atMost(LONG)
                .until(() -> as(one, night.secret, "POST", "/tasks/fails/retry", "{\"priority\":\"high\"}")
                                .code()
                        == 200);
        details.put("POST /tasks/{task_id}/retry", "{\"task_id\":\"fails\"}");
        for (String kind : List.of("cancel", "redrive")) {
            ok(as(
                    one,
                    night.secret,
                    "POST",
                    "/tasks/bulk/" + kind,
                    "{\"bulk_id\":\"night-" + kind + "\",\"filter\":{\"id\":\"none\"}}"));
            details.put(
                    "POST /tasks/bulk/" + kind,
                    "{\"bulk_id\":\"night-" + kind + "\",\"filter\":\"{\\\"id\\\":\\\"none\\\"}\"}");
        }
        ok(as(one, night.secret, "POST", "/tasks/bulk/night-cancel/stop", ""));
        details.put("POST /tasks/bulk/{bulk_id}/stop", "{\"bulk_id\":\"night-cancel\"}");
        ok(as(one, night.secret, "POST", "/history/rebuild", ""));
        details.put("POST /history/rebuild", "");
        await().atMost(LONG)
                .until(() -> as(other, night.secret, "POST", "/tasks/dead-letter/fails/redrive", "")
                                .code()
                        == 200);
        details.put("POST /tasks/dead-letter/{task_id}/redrive", "{\"task_id\":\"fails\"}");
        for (RunningCoordinator at : List.of(one, other)) {
            // The second changes nothing.
            ok(as(at, night.secret, "PUT", "/agents/pull-1/status", "{\"status\":\"maintenance\"}"));
        }
        details.put("PUT /agents/{agent_id}/status", "{\"agent_id\":\"pull-1\",\"status\":\"maintenance\"}");
        ok(as(other, night.secret, "POST", "/v1/tasks/waits/cancel", ""));
        details.put("POST /tasks/{task_id}/cancel", "{\"task_id\":\"waits\"}");
        ok(as(one, night.secret, "POST", "/tasks/queues/low/pause", ""));
        details.put("POST /tasks/queues/{priority}/pause", "{\"priority\":\"low\"}");
        one.submit("{\"priority\":\"low\",\"task_data\":{}}");
        ok(as(one, night.secret, "POST", "/tasks/queues/low/clear", ""));
        details.put(
                "POST /tasks/queues/{priority}/clear",
                "{\"priority\":\"low\",\"cleared_count\":1,\"held_back_count\":0}");
        ok(as(other, night.secret, "POST", "/tasks/queues/low/resume", ""));
        details.put("POST /tasks/queues/{priority}/resume", "{\"priority\":\"low\"}");
        ok(as(other, night.secret, "PUT", "/load-balancer/strategy?strategy=round_robin", null));
        details.put("PUT /load-balancer/strategy", "{\"strategy\":\"round_robin\"}");
        ok(as(one, night.secret, "PUT", "/fairness/acme/eu", "{\"weight\":2.5}"));
        details.put("PUT /fairness/{fairness_key}", "{\"fairness_key\":\"acme/eu\",\"weight\":2.5}");
        await().until(() -> as(other, night.secret, "GET", "/fairness", null)
                        .body()
                        .get("keys")
                        .size()
                == 1);
        ok(as(other, night.secret, "DELETE", "/fairness/acme/eu", null));
        details.put("DELETE /fairness/{fairness_key}", "{\"fairness_key\":\"acme/eu\"}");
        ok(as(one, night.secret, "PUT", "/limits/acme/x*", "{\"concurrency\":2}"));
        details.put("PUT /limits/{name}", "{\"name\":\"acme/x*\",\"limit\":{\"concurrency\":2}}");
        await().until(() -> as(other, night.secret, "GET", "/limits", null)
                        .body()
                        .get("limits")
                        .size()
                == 1);
        ok(as(other, night.secret, "DELETE", "/limits/acme/x*", null));
        details.put("DELETE /limits/{name}", "{\"name\":\"acme/x*\"}");
        JsonNode generated = ok(as(one, night.secret, "POST", "/auth/api-key/generate?user_id=ada", null));
        String secret = generated.get("api_key").asString();
        String id = generated.get("key_id").asString();
        SECRETS.add(secret);
        details.put(
                "POST /auth/api-key/generate", "{\"key_id\":\"" + id + "\",\"name\":\"ada\",\"role\":\"operator\"}");
        ok(as(one, null, "POST", "/auth/api-key/validate?api_key=" + secret, null));
        ok(as(one, night.secret, "DELETE", "/auth/api-key/" + secret, null));
        details.put("DELETE /auth/api-key/{api_key}", "{\"key_id\":\"" + id + "\"}");
        ok(as(other, night.secret, "POST", "/users/ada/role?role=viewer", null));
        details.put("POST /users/{user_id}/role", "{\"user_id\":\"ada\",\"role\":\"viewer\"}");
        JsonNode created = ok(as(one, night.secret, "POST", "/keys", """
                {"name":"gpu agents","role":"agent","agent_id":"gpu-*"}"""));
        SECRETS.add(created.get("api_key").asString());
        String createdId = created.at("/key/key_id").asString();
        details.put(
                "POST /keys",
                "{\"key_id\":\"" + createdId + "\",\"name\":\"gpu agents\",\"role\":\"agent\",\"agent_id\":\"gpu-*\"}");
        ok(as(one, night.secret, "DELETE", "/keys/" + createdId, null));
        details.put("DELETE /keys/{key_id}", "{\"key_id\":\"" + createdId + "\"}");
        ok(as(one, night.secret, "DELETE", "/agents/pull-1", null));
        details.put("DELETE /agents/{agent_id}", "{\"agent_id\":\"pull-1\"}");
        ok(as(one, null, "POST", "/auth/session", "{\"credential\":\"" + night.secret + "\"}"));
        details.put("POST /auth/session", "");

        List<JsonNode> records = awaitRecords(details.size(), by("night shift"));

        assertThat(records)
                .extracting(AuditTest::action)
                .containsExactlyInAnyOrderElementsOf(details.keySet())
                .containsExactlyInAnyOrderElementsOf(AccessRules.all().stream()
                        .filter(AccessRules.Rule::isRecorded)
                        .map(AccessRules.Rule::endpoint)
                        // By a user, see below.
                        .filter(endpoint -> !endpoint.equals("POST /auth/login"))
                        .toList());
        assertThat(records).allSatisfy(record -> {
            assertThat(record.path("details").toString()).as(action(record)).isEqualTo(details.get(action(record)));
            assertThat(record.get("status").asInt()).isEqualTo(200);
            assertThat(record.get("caller").toString())
                    .isEqualTo("{\"name\":\"night shift\",\"role\":\"admin\",\"key_id\":\"" + night.id + "\"}");
            assertThat(record.get("remote_address").asString()).isEqualTo("127.0.0.1");
            assertThat(record.get("forwarded_for").asString()).isEqualTo("203.0.113.9");
            assertThat(Instant.parse(record.get("at").asString()))
                    .isBetween(Instant.now().minusSeconds(300), Instant.now());
        });
        assertThat(records).extracting(record -> record.get("id").asString()).doesNotHaveDuplicates();
    }

    /** Its request leaves all filters once before it is handled. */
    @Test
    void anActionWhoseBodyArrivesLateIsRecordedOnce() throws IOException {
        Key slow = key("slow", "operator");
        String body = "{\"strategy\":\"round_robin\"}";
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), one.port())) {
            OutputStream out = socket.getOutputStream();
            out.write(("PUT /load-balancer/strategy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: "
                            + slow.secret + "\r\nContent-Type: application/json\r\nContent-Length: " + body.length()
                            + "\r\n\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
            out.flush();
            assertThat(records(one, by("slow"))).isEmpty();
            out.write(body.getBytes(StandardCharsets.US_ASCII));
            out.flush();
            assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .startsWith("HTTP/1.1 200");
        }
        ok(as(one, slow.secret, "POST", "/tasks/queues/high/resume", ""));

        assertThat(awaitRecords(2, by("slow")))
                .extracting(AuditTest::action)
                .containsExactly("POST /tasks/queues/{priority}/resume", "PUT /load-balancer/strategy");
    }

    @Test
    void aSignInIsRecordedAndSoIsAFailedOne() {
        String login = "{\"username\":\"%s\",\"password\":\"%s\"}";
        JsonNode tokens = ok(as(one, null, "POST", "/auth/login", login.formatted("ada", PASSWORD)));
        SECRETS.add(tokens.get("access_token").asString());
        SECRETS.add(tokens.get("refresh_token").asString());
        SECRETS.add("a mistyped password");
        as(one, null, "POST", "/auth/login", login.formatted("ada", "a mistyped password"));
        as(other, null, "POST", "/auth/session", login.formatted("a mistyped password", PASSWORD));

        JsonNode signedIn =
                awaitRecords(1, by("ada").and(refused("POST /auth/login", 200))).get(0);
        assertThat(signedIn.has("details")).isFalse();
        JsonNode wrongPassword =
                awaitRecords(1, refused("POST /auth/login", 401)).get(0);
        assertThat(wrongPassword.at("/details/user_id").asString()).isEqualTo("ada");
        assertThat(wrongPassword.get("reason").asString()).isEqualTo("Invalid credentials");
        assertThat(wrongPassword.has("caller")).isFalse();
        JsonNode unknownName =
                awaitRecords(1, refused("POST /auth/session", 401)).get(0);
        assertThat(unknownName.has("details")).isFalse();
    }

    @Test
    void aFloodOfRefusedCredentialsIsCounted() {
        int flood = 200;
        SECRETS.add("aitbc_unknown_to_all");
        for (int i = 0; i < flood; i++) {
            assertThat(as(one, "aitbc_unknown_to_all", "GET", "/tasks/status", null)
                            .code())
                    .isEqualTo(401);
        }
        assertThat(as(one, null, "GET", "/tasks/status", null).code()).isEqualTo(401);

        Predicate<JsonNode> refusals = refused("GET /tasks/status", 401);
        List<JsonNode> records =
                await().atMost(LONG).until(() -> records(one, refusals), found -> refusals(found, refusals) == flood);
        assertThat(records).hasSizeLessThan(10);
        assertThat(records)
                .allSatisfy(record -> assertThat(record.get("reason").asString())
                        .isEqualTo("the key is unknown, revoked or expired"));
    }

    @Test
    void aRefusedPermissionIsRecorded() {
        Key viewer = key("curious", "viewer");
        Key agent = key("one agent", "agent", ",\"agent_id\":\"agent-1\"");
        for (String path : List.of("/keys/", "/auth/api-key/")) {
            assertThat(as(one, viewer.secret, "DELETE", path + agent.secret, null)
                            .code())
                    .isEqualTo(403);
        }
        assertThat(as(other, agent.secret, "DELETE", "/agents/agent-2", null).code())
                .isEqualTo(403);
        assertThat(as(other, viewer.secret, "GET", "/audit", null).code()).isEqualTo(403);

        assertThat(awaitRecords(3, by("curious")))
                .extracting(record -> action(record) + " " + record.path("details") + " " + record.path("reason"))
                .containsExactlyInAnyOrder(
                        "DELETE /keys/{key_id} {\"key_id\":\"***\"}"
                                + " \"role viewer may not DELETE /keys/{key_id}: it needs admin\"",
                        "DELETE /auth/api-key/{api_key} "
                                + " \"role viewer may not DELETE /auth/api-key/{api_key}: it needs admin\"",
                        "GET /audit  \"role viewer may not GET /audit: it needs admin\"");
        JsonNode ofAgent = awaitRecords(1, by("one agent")).get(0);
        assertThat(ofAgent.get("caller").toString())
                .isEqualTo("{\"name\":\"one agent\",\"role\":\"agent\",\"key_id\":\"" + agent.id
                        + "\",\"agent_id\":\"agent-1\"}");
        assertThat(ofAgent.at("/details/agent_id").asString()).isEqualTo("agent-2");
    }

    @Test
    void theTrailIsReadInPagesFromAnyCoordinator() {
        Instant begin = Instant.now();
        Key pager = key("pager", "operator");
        for (int i = 0; i < 5; i++) {
            ok(as(i % 2 == 0 ? one : other, pager.secret, "POST", "/tasks/queues/high/resume", ""));
        }
        awaitRecords(5, by("pager"));

        List<JsonNode> paged = new ArrayList<>();
        String before = "";
        JsonNode page;
        do {
            page = one.get("/audit?limit=2&since=" + begin + before).body();
            assertThat(page.get("count").asInt()).isLessThanOrEqualTo(2);
            page.get("records").forEach(paged::add);
            before = paged.isEmpty()
                    ? ""
                    : "&before=" + paged.get(paged.size() - 1).get("offset").asLong();
        } while (page.get("count").asInt() == 2);

        assertThat(paged).filteredOn(by("pager")).hasSize(5).isEqualTo(records(other, by("pager")));
        assertThat(paged)
                .extracting(record -> record.get("offset").asLong())
                .isSortedAccordingTo(Comparator.reverseOrder());
        assertThat(paged)
                .allSatisfy(record ->
                        assertThat(Instant.parse(record.get("at").asString())).isAfterOrEqualTo(begin));
        RunningCoordinator.Answer refused = one.get("/audit?since=yesterday");
        assertThat(refused.code()).isEqualTo(422);
        assertThat(refused.detail()).isEqualTo("since: must be a time such as 2026-01-31T12:00:00Z");
    }

    @Test
    @ExtendWith(OutputCaptureExtension.class)
    void anActionDoesNotWaitForItsRecord(CapturedOutput output) throws Exception {
        Key waits = key("waits", "operator");
        awaitRecords(1, record -> record.at("/details/key_id").asString("").equals(waits.id));
        limitRecordSize("1");
        try {
            ok(as(one, waits.secret, "POST", "/tasks/queues/high/resume", ""));
            await().atMost(LONG).until(() -> output.getAll().contains("Kafka does not accept audit records"));
            assertThat(records(one, by("waits"))).isEmpty();
        } finally {
            limitRecordSize("1000000");
        }
        assertThat(awaitRecords(1, by("waits"))).hasSize(1);
        assertThat(one.text("/metrics")).contains("coordinator_audit_records_lost_total 0.0");
    }

    private static void limitRecordSize(String bytes) throws Exception {
        try (Admin admin =
                Admin.create(Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()))) {
            admin.incrementalAlterConfigs(Map.of(
                            new ConfigResource(ConfigResource.Type.TOPIC, "audit." + TOPIC),
                            List.of(new AlterConfigOp(
                                    new ConfigEntry(TopicConfig.MAX_MESSAGE_BYTES_CONFIG, bytes),
                                    AlterConfigOp.OpType.SET))))
                    .all()
                    .get();
        }
    }

    @Test
    void withSecurityOffAnyoneIsRecordedAndWhatWaitsIsWrittenAtTheEnd() {
        try (RunningCoordinator open = RunningCoordinator.start(LocalStack.shared(), "audit-off.", 8)) {
            open.post("/tasks/queues/low/pause", "");
            open.post("/tasks/queues/low/resume", "");
            for (int i = 0; i < 3; i++) {
                open.post("/auth/validate", "{\"token\":\"none\"}");
            }
        }
        try (RunningCoordinator next = RunningCoordinator.start(LocalStack.shared(), "audit-off.", 8)) {
            List<JsonNode> records = records(next, by("anyone"));
            assertThat(records)
                    .extracting(AuditTest::action)
                    .contains("POST /tasks/queues/{priority}/pause", "POST /tasks/queues/{priority}/resume");
            assertThat(refusals(records, refused("POST /auth/validate", 401))).isEqualTo(3);
        }
    }

    /** How many refusals the records stand for. */
    private static long refusals(List<JsonNode> records, Predicate<JsonNode> wanted) {
        return records.stream()
                .filter(wanted)
                .mapToLong(record -> record.path("count").asLong(1))
                .sum();
    }

    private static JsonNode ok(Answer answer) {
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return answer.body();
    }
}

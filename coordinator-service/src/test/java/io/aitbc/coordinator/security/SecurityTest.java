package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.CookieManager;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Two coordinators with security on. */
class SecurityTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";
    private static final String[] SETTINGS = {
        "--aitbc.security=on", "--aitbc.admin.key=" + ADMIN_KEY, "--aitbc.settle.retry-backoff=10ms"
    };

    private static RunningCoordinator one;
    private static RunningCoordinator other;
    private static final Map<Role, String> KEYS = new EnumMap<>(Role.class);
    private static String scopedKey;

    @BeforeAll
    static void start() {
        one = RunningCoordinator.start(LocalStack.shared(), "security.", 6, SETTINGS);
        other = RunningCoordinator.start(LocalStack.shared(), "security.", 6, SETTINGS);
        for (Role role : Role.values()) {
            KEYS.put(role, secret(create(role, role == Role.AGENT ? "agent-1" : null)));
        }
        scopedKey = secret(create(
                Json.object().put("name", "scoped").put("role", "submitter").put("fairness_key", "tenant")));
    }

    @AfterAll
    static void stop() {
        other.close();
        one.close();
    }

    private static JsonNode create(Role role, @Nullable String agentId) {
        ObjectNode body = Json.object().put("name", "test " + role).put("role", role.wireName());
        if (agentId != null) {
            body.put("agent_id", agentId);
        }
        return create(body);
    }

    private static JsonNode create(ObjectNode body) {
        Answer answer = one.post("/keys", Json.text(body));
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return answer.body();
    }

    private static String secret(JsonNode created) {
        return created.get("api_key").asString();
    }

    private static String keyId(JsonNode created) {
        return created.at("/key/key_id").asString();
    }

    /** @param key null for no credential */
    private static Answer as(@Nullable String key, String method, String path, @Nullable String body) {
        return as(one, key, method, path, body);
    }

    private static Answer as(
            RunningCoordinator at, @Nullable String key, String method, String path, @Nullable String body) {
        return at.send(request(at, key, method, path, body));
    }

    private static HttpRequest.Builder request(
            RunningCoordinator at, @Nullable String key, String method, String path, @Nullable String body) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + at.port() + path))
                .timeout(LONG)
                .method(
                        method,
                        body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body))
                .header("Content-Type", "application/json");
        return key == null ? request : request.header("Authorization", "Bearer " + key);
    }

    private static int code(@Nullable String key, String method, String path, @Nullable String body) {
        try {
            return HTTP.send(request(one, key, method, path, body).build(), HttpResponse.BodyHandlers.discarding())
                    .statusCode();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Every endpoint of the OpenAPI document, and the rest of the table, as method and path. */
    static List<String> endpoints() {
        List<String> endpoints = new ArrayList<>();
        one.get("/openapi.json")
                .body()
                .get("paths")
                .forEachEntry((path, operations) ->
                        operations.propertyNames().forEach(method -> endpoints.add(method.toUpperCase() + " " + path)));
        AccessRules.all().stream()
                .map(AccessRules.Rule::endpoint)
                .filter(endpoint -> !endpoints.contains(endpoint))
                .forEach(endpoints::add);
        return endpoints;
    }

    /** A request that changes nothing that another one needs. */
    private static String path(String endpoint, String agentId) {
        return endpoint.substring(endpoint.indexOf(' ') + 1)
                .replace("{agent_id}", agentId)
                .replace("/**", "/none")
                .replace("{priority}", "low")
                .replaceAll("\\{\\w+}", "none");
    }

    /** Invalid where that is possible, so that nothing is created, and no call waits. */
    private static @Nullable String body(String endpoint) {
        if (endpoint.startsWith("GET") || endpoint.startsWith("DELETE")) {
            return null;
        }
        return endpoint.endsWith("/claim") ? "{\"wait_seconds\":0}" : "{}";
    }

    @Test
    void everyEndpointIsOpenToTheRolesOfItsRuleOnly() {
        Map<String, Integer> wrong = new TreeMap<>();
        for (String endpoint : endpoints()) {
            AccessRules.Rule rule = AccessRules.of(
                            endpoint.substring(0, endpoint.indexOf(' ')), endpoint.substring(endpoint.indexOf(' ') + 1))
                    .orElseThrow();
            for (String version : List.of("", "/v1")) {
                String method = rule.method();
                String path = (version + path(endpoint, "agent-1")).replaceFirst("^/v1/$", "/v1");
                expect(
                        wrong,
                        rule.isPublic(),
                        401,
                        code(null, method, path, body(endpoint)),
                        "nobody: " + method + path);
                expect(
                        wrong,
                        false,
                        401,
                        code("aitbc_unknown", method, path, body(endpoint)),
                        "unknown key: " + method + path);
                for (Role role : Role.values()) {
                    expect(
                            wrong,
                            rule.isPublic() || rule.roles().contains(role),
                            403,
                            code(KEYS.get(role), method, path, body(endpoint)),
                            role + ": " + method + path);
                }
                expect(
                        wrong,
                        rule.isPublic() || rule.isForScoped(),
                        403,
                        code(scopedKey, method, path, body(endpoint)),
                        "scoped submitter: " + method + path);
                if (rule.isOwnAgentOnly()) {
                    expect(
                            wrong,
                            false,
                            403,
                            code(KEYS.get(Role.AGENT), method, version + path(endpoint, "agent-2"), body(endpoint)),
                            "another agent: " + method + path);
                }
            }
        }
        assertThat(wrong).isEmpty();
    }

    private static void expect(Map<String, Integer> wrong, boolean isAllowed, int refusal, int code, String request) {
        boolean wasAllowed = code != 401 && code != 403;
        if (wasAllowed != isAllowed || !isAllowed && code != refusal) {
            wrong.put(request, code);
        }
    }

    @Test
    void aRefusalSaysWhy() {
        Answer nobody = as(null, "GET", "/tasks/status", null);
        assertThat(nobody.code()).isEqualTo(401);
        assertThat(nobody.detail()).startsWith("a credential is required: send a key or a token as Authorization");
        Answer unknown = as("aitbc_unknown", "GET", "/tasks/status", null);
        assertThat(unknown.detail()).isEqualTo("the key is unknown, revoked or expired");
        Answer viewer = as(KEYS.get(Role.VIEWER), "POST", "/tasks/submit", "{}");
        assertThat(viewer.code()).isEqualTo(403);
        assertThat(viewer.detail())
                .isEqualTo("role viewer may not POST /tasks/submit: it needs admin or operator or submitter");
        Answer agent = as(KEYS.get(Role.AGENT), "GET", "/agents/agent-2", null);
        assertThat(agent.code()).isEqualTo(403);
        assertThat(agent.detail()).isEqualTo("this credential is for agent agent-1, not for agent-2");
        Answer nowhere = as(KEYS.get(Role.ADMIN), "GET", "/nowhere", null);
        assertThat(nowhere.code()).isEqualTo(404);
        assertThat(as(null, "GET", "/nowhere", null).code()).isEqualTo(401);
        assertThat(one.send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + one.port() + "/tasks/status"))
                                .header("X-API-Key", ADMIN_KEY)
                                .header("Authorization", "Bearer " + ADMIN_KEY))
                        .code())
                .isEqualTo(401);
    }

    @Test
    void aKeyHoldsOnAllCoordinatorsUntilItIsRevokedOnOne() {
        JsonNode created = create(Role.VIEWER, null);
        String key = secret(created);
        await().atMost(LONG)
                .until(() -> as(other, key, "GET", "/tasks/status", null).code() == 200);
        assertThat(other.get("/keys").body().toString())
                .contains(keyId(created))
                .doesNotContain(key)
                .doesNotContain("hash");

        one.part(Redis.class).sync().flushdb();

        assertThat(as(key, "GET", "/coordinators", null).code()).isNotEqualTo(401);
        assertThat(other.send("DELETE", "/keys/" + keyId(created), null).code()).isEqualTo(200);
        assertThat(as(other, key, "GET", "/tasks/status", null).code()).isEqualTo(401);
        await().atMost(LONG).until(() -> as(key, "GET", "/tasks/status", null).code() == 401);
        assertThat(one.send("DELETE", "/keys/" + keyId(created), null).code()).isEqualTo(404);
    }

    @Test
    void aKeyExpires() {
        Answer created = one.post("/keys", "{\"name\":\"brief\",\"role\":\"viewer\",\"expires_in_seconds\":1}");
        String key = secret(created.body());
        await().atMost(LONG).until(() -> as(key, "GET", "/tasks/status", null).code() == 401);
    }

    @Test
    void keysOutliveACoordinator() {
        String key = secret(create(Role.OPERATOR, null));
        try (RunningCoordinator later = RunningCoordinator.start(LocalStack.shared(), "security.", 6, SETTINGS)) {
            assertThat(as(later, key, "GET", "/tasks/status", null).code()).isEqualTo(200);
        }
    }

    @Test
    void anAgentActsAsItselfOnly() {
        String prefix = secret(create(Role.AGENT, "team-a-*"));
        String registration = "{\"agent_id\":\"%s\",\"agent_type\":\"worker\",\"delivery\":\"pull\","
                + "\"capabilities\":[\"team-a\"]}";
        assertThat(as(prefix, "POST", "/agents/register", registration.formatted("team-a-1"))
                        .code())
                .isEqualTo(200);
        assertThat(as(prefix, "POST", "/agents/register", registration.formatted("team-a-2"))
                        .code())
                .isEqualTo(200);
        Answer foreign = as(prefix, "POST", "/agents/register", registration.formatted("team-b-1"));
        assertThat(foreign.code()).isEqualTo(403);
        assertThat(foreign.detail()).isEqualTo("this credential is for agent team-a-*, not for team-b-1");
        String taskId = one.submit("{\"task_data\":{},\"requirements\":{\"agent_id\":\"team-a-1\"}}");
        JsonNode assignment = await().atMost(LONG)
                .until(
                        () -> as(prefix, "POST", "/agents/team-a-1/assignments/claim", "{\"wait_seconds\":5}")
                                .body()
                                .at("/assignments/0"),
                        found -> !found.isMissingNode());
        ObjectNode result = RunningCoordinator.result(assignment, "completed");
        String path = "/tasks/" + taskId + "/results";
        assertThat(as(KEYS.get(Role.AGENT), "POST", path, Json.text(result)).code())
                .isEqualTo(403);
        assertThat(as(
                                KEYS.get(Role.AGENT),
                                "POST",
                                path,
                                Json.text(result.deepCopy().put("agent_id", "agent-1")))
                        .code())
                .as("in its own name, an attempt that it was not given")
                .isEqualTo(409);
        assertThat(as(prefix, "POST", path, Json.text(result)).code()).isEqualTo(202);
        one.awaitTask(taskId, "completed");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{\"name\":\"x\"}",
                "{\"name\":\"\",\"role\":\"admin\"}",
                "{\"name\":\"x\",\"role\":\"root\"}",
                "{\"name\":\"x\",\"role\":\"agent\"}",
                "{\"name\":\"x\",\"role\":\"viewer\",\"agent_id\":\"a\"}",
                "{\"name\":\"x\",\"role\":\"agent\",\"agent_id\":\"a b\"}",
                "{\"name\":\"x\",\"role\":\"viewer\",\"expires_in_seconds\":0}"
            })
    void anInvalidKeyIsRefused(String body) {
        Answer answer = one.post("/keys", body);
        assertThat(answer.code()).isEqualTo(422);
        assertThat(answer.detail()).isNotBlank();
    }

    /** Ways to write a path so that the check and the handler might read it differently. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "/keys/",
                "//keys",
                "/./keys",
                "/keys;x=1",
                "/;x=1/keys",
                "/%6beys",
                "/KEYS",
                "/v1/keys",
                "/v1//keys",
                "/v1/v1/keys",
                "/dashboard/../keys",
                "/dashboard/%2e%2e/keys",
                "/dashboard/..%2fkeys",
                "/dashboard/..;/keys",
                "/health/../keys",
                "/health/..;/keys",
                "/actuator/health/../../keys",
                "/keys%00",
                "/keys%0d%0aX-API-Key:%20x",
                "/keys.json",
                "/keys?role=admin",
                "http://127.0.0.1/keys",
                "/agents/agent-1/../agent-2/assignments",
                "/agents/agent-1%2f..%2fagent-2/assignments",
                "/agents/agent-1;/../agent-2/assignments",
                "/v1/%6beys",
                "/V1/keys",
                "/%76%31/keys",
                "/v1/../keys",
                "/v1/./keys",
                "/v1;a=b/keys",
                "/v1%2fkeys",
                "/keys%2f",
                "/keys%5c",
                "/keys%3b",
                "/keys%3fx",
                "/keys%20",
                "/keys.",
                "/keys/.",
                "/keys/%2e",
                "/%2e/keys",
                "/%2e%2e/keys",
                "/..%252fkeys",
                "/%252e%252e/keys",
                "/dashboard/%252e%252e/keys",
                "/dashboard/..%5ckeys",
                "/dashboard/..%c0%afkeys",
                "/webjars/../keys",
                "/webjars//keys",
                "/actuator/health/..;/..;/keys",
                "/auth/session/../../keys",
                "/auth/login;/../../keys",
                "///keys",
                "/health//../keys",
                "/\\keys",
                "*"
            })
    void noSpellingOfAPathGetsAround(String path) throws IOException {
        for (String key : List.of("", KEYS.getOrDefault(Role.VIEWER, ""), KEYS.getOrDefault(Role.AGENT, ""))) {
            for (String override : List.of(
                    "", "X-HTTP-Method-Override: GET\r\n", "X-Original-URL: /keys\r\nX-Rewrite-URL: /keys\r\n")) {
                String response = raw("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        + override
                        + (key.isEmpty() ? "" : "Authorization: Bearer " + key + "\r\n") + "\r\n");
                assertThat(response).doesNotStartWith("HTTP/1.1 2").doesNotContain("key_id");
            }
        }
    }

    private static String raw(String request) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), one.port())) {
            socket.setSoTimeout((int) LONG.toMillis());
            socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        }
    }

    /** A proxy with a login of its own adds such a header to all requests of a browser; the session's cookie authenticates them. */
    @ParameterizedTest
    @ValueSource(strings = {"Basic eDp5", "Negotiate abc", "Digest x"})
    void anotherKindOfAuthorizationDoesNotReplaceTheCsrfToken(String authorization) {
        assertThat(one.send(request(one, null, "POST", "/tasks/queues/low/resume", "")
                                .header("Authorization", authorization)
                                .header("Cookie", "aitbc_session=" + KEYS.get(Role.OPERATOR)))
                        .code())
                .isEqualTo(403);
    }

    /** Another coordinator restores it in a re-created topic, before it has read that it is revoked. */
    @Test
    void aRevokedKeyStaysRevoked() {
        JsonNode created = one.post(
                        "/keys", "{\"name\":\"restored\",\"role\":\"agent\",\"agent_id\":\"restored-agent\"}")
                .body();
        String key = created.get("api_key").asString();
        String id = created.at("/key/key_id").asString();
        String record = recordsOf(id).get(0).value();

        Answer revoked = one.send("DELETE", "/keys/" + id, null);
        assertThat(revoked.body().get("message").asString())
                .endsWith("agent restored-agent stays registered: DELETE /agents/restored-agent ends its assignments");
        one.publish("coordinator.keys", id, record);

        // Created, revoked, restored, deleted again.
        await().atMost(LONG).until(() -> recordsOf(id).size() >= 4);
        assertThat(recordsOf(id).get(3).value()).isNull();
        assertThat(one.send(request(one, key, "GET", "/agents/restored-agent", null))
                        .code())
                .isEqualTo(401);
    }

    private static List<ConsumerRecord<String, String>> recordsOf(String keyId) {
        return one.awaitRaw("coordinator.keys", (int) one.written("coordinator.keys")).stream()
                .filter(record -> keyId.equals(record.key()))
                .toList();
    }

    @Test
    void aKeyInAPathIsNotRepeated() {
        String key = KEYS.get(Role.OPERATOR);
        for (String path : List.of("/tasks/" + key, "/v1/tasks/" + key + "/explain", "/nowhere/" + key)) {
            Answer answer = one.send(request(one, KEYS.get(Role.VIEWER), "GET", path, null));
            assertThat(answer.code()).isEqualTo(404);
            assertThat(answer.body().toString()).as(path).contains("aitbc_...").doesNotContain(key);
        }
    }

    @Test
    void aStaleSessionDoesNotKeepFromSigningIn() {
        Answer signedIn = one.send(request(
                        one,
                        null,
                        "POST",
                        "/auth/session",
                        Json.text(Json.object().put("credential", KEYS.get(Role.VIEWER))))
                .header("Cookie", "aitbc_session=aitbc_revoked"));

        assertThat(signedIn.code()).as("%s", signedIn.body()).isEqualTo(200);
    }

    @Test
    void aBrowserSignsInAndOut() throws Exception {
        CookieManager cookies = new CookieManager();
        HttpClient browser = HttpClient.newBuilder().cookieHandler(cookies).build();
        String credential = Json.text(Json.object().put("credential", KEYS.get(Role.OPERATOR)));
        assertThat(inBrowser(browser, "GET", "/auth/session", null, null).body())
                .isEqualTo("{\"status\":\"success\",\"security\":\"on\"}");
        assertThat(inBrowser(browser, "POST", "/auth/session", "{\"credential\":\"aitbc_wrong\"}", null)
                        .statusCode())
                .isEqualTo(401);

        HttpResponse<String> signedIn = inBrowser(browser, "POST", "/auth/session", credential, null);

        assertThat(signedIn.statusCode()).as(signedIn.body()).isEqualTo(200);
        assertThat(signedIn.headers().allValues("Set-Cookie"))
                .anySatisfy(cookie -> assertThat(cookie)
                        .startsWith("aitbc_session=")
                        .contains("HttpOnly", "SameSite=Strict", "Path=/")
                        .doesNotContain("Secure"));
        assertThat(inBrowser(browser, "GET", "/tasks/status", null, null).statusCode())
                .isEqualTo(200);
        String token = cookies.getCookieStore().getCookies().stream()
                .filter(cookie -> cookie.getName().equals("XSRF-TOKEN"))
                .findFirst()
                .orElseThrow()
                .getValue();
        assertThat(inBrowser(browser, "POST", "/tasks/queues/low/pause", "", null)
                        .statusCode())
                .as("as another site would send it")
                .isEqualTo(403);
        assertThat(inBrowser(browser, "POST", "/tasks/queues/low/pause", "", "forged")
                        .statusCode())
                .isEqualTo(403);
        assertThat(inBrowser(browser, "POST", "/tasks/queues/low/resume", "", token)
                        .statusCode())
                .isEqualTo(200);

        assertThat(inBrowser(browser, "DELETE", "/auth/session", null, token).statusCode())
                .isEqualTo(200);
        assertThat(inBrowser(browser, "GET", "/tasks/status", null, null).statusCode())
                .isEqualTo(401);
    }

    /** A page of another site makes the browser send the cookie, but cannot read the token; an older browser may send no Origin. */
    @Test
    void noEndpointIsOpenToAPageOfAnotherSite() throws Exception {
        Map<String, Integer> wrong = new TreeMap<>();
        for (String endpoint : endpoints()) {
            String method = endpoint.substring(0, endpoint.indexOf(' '));
            if (method.equals("GET")) {
                continue;
            }
            for (String forged : List.of(
                    "Content-Type: application/json",
                    "Origin: https://evil.example\r\nContent-Type: application/json",
                    "Origin: null\r\nContent-Type: text/plain",
                    "X-XSRF-TOKEN: guess\r\nContent-Type: application/json",
                    "X-XSRF-TOKEN: \r\nContent-Type: application/x-www-form-urlencoded")) {
                String response = raw(method + " " + path(endpoint, "agent-1") + " HTTP/1.1\r\nHost: 127.0.0.1:"
                        + one.port() + "\r\nConnection: close\r\nCookie: aitbc_session=" + ADMIN_KEY + "\r\n" + forged
                        + "\r\nContent-Length: 2\r\n\r\n{}");
                if (!response.startsWith("HTTP/1.1 403")) {
                    wrong.put(endpoint + " " + forged, Integer.parseInt(response.substring(9, 12)));
                }
            }
        }
        assertThat(wrong).isEmpty();
    }

    /** Otherwise, what a viewer may read would be a way to change something. */
    @ParameterizedTest
    @ValueSource(strings = {"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"})
    void aMethodIsNotOverridden(String header) throws IOException {
        for (String query : List.of("", "?_method=POST", "?_method=DELETE")) {
            String response =
                    raw("GET /tasks/queues" + query + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: "
                            + KEYS.get(Role.VIEWER) + "\r\n" + header + ": DELETE\r\n\r\n");
            assertThat(response).startsWith("HTTP/1.1 200").contains("queue_sizes");
            String post = raw("POST /tasks/queues/low/pause" + query
                    + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: " + KEYS.get(Role.VIEWER)
                    + "\r\n" + header + ": GET\r\nContent-Length: 0\r\n\r\n");
            assertThat(post).startsWith("HTTP/1.1 403");
        }
    }

    @Test
    void aClientWithAKeyGetsNoCookie() throws Exception {
        HttpResponse<String> response = HTTP.send(
                request(one, KEYS.get(Role.VIEWER), "GET", "/tasks/status", null)
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        assertThat(response.headers().allValues("Set-Cookie")).isEmpty();
        assertThat(response.headers().firstValue("X-Content-Type-Options")).hasValue("nosniff");
    }

    /** A revoked key must not keep the sign-in page from being shown. */
    @Test
    void aSessionEndsWithItsKey() throws Exception {
        HttpClient browser =
                HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
        JsonNode created = create(Role.VIEWER, null);
        inBrowser(browser, "POST", "/auth/session", Json.text(Json.object().put("credential", secret(created))), null);
        assertThat(inBrowser(browser, "GET", "/tasks/status", null, null).statusCode())
                .isEqualTo(200);

        one.send("DELETE", "/keys/" + keyId(created), null);

        assertThat(inBrowser(browser, "GET", "/tasks/status", null, null).statusCode())
                .isEqualTo(401);
        assertThat(inBrowser(browser, "GET", "/dashboard/index.html", null, null)
                        .statusCode())
                .isEqualTo(200);
    }

    /** Each would otherwise go on for as long as its client wishes. */
    @Test
    void openCallsEndWithTheirKey() throws Exception {
        JsonNode viewer = create(Role.VIEWER, null);
        JsonNode agent = create(Role.AGENT, "waiter");
        as(
                secret(agent),
                "POST",
                "/agents/register",
                "{\"agent_id\":\"waiter\",\"agent_type\":\"worker\",\"delivery\":\"pull\"}");
        String task = one.submit("{\"task_data\":{},\"requirements\":{\"agent_id\":\"nobody\"}}");
        CompletableFuture<Integer> socketClosed = new CompletableFuture<>();
        WebSocket socket = HTTP.newWebSocketBuilder()
                .header("X-API-Key", secret(viewer))
                .buildAsync(
                        URI.create("ws://127.0.0.1:" + other.port() + "/ws?topics=queues"), new WebSocket.Listener() {
                            @Override
                            public CompletionStage<?> onClose(WebSocket from, int status, String reason) {
                                socketClosed.complete(status);
                                return null;
                            }

                            @Override
                            public void onError(WebSocket from, Throwable error) {
                                socketClosed.completeExceptionally(error);
                            }
                        })
                .get();
        CompletableFuture<HttpResponse<String>> events = open(secret(viewer), "GET", "/events?topics=queues", null);
        CompletableFuture<HttpResponse<String>> longPoll =
                open(secret(viewer), "GET", "/tasks/" + task + "?wait=60s", null);
        CompletableFuture<HttpResponse<String>> claim =
                open(secret(agent), "POST", "/agents/waiter/assignments/claim", "{\"wait_seconds\":60}");
        await().atMost(LONG)
                .until(() ->
                        one.get("/agents/waiter").body().at("/agent/open_slots").asInt() == 1);

        assertThat(List.of(events, longPoll, claim)).noneMatch(CompletableFuture::isDone);
        one.send("DELETE", "/keys/" + keyId(viewer), null);
        one.send("DELETE", "/keys/" + keyId(agent), null);

        assertThat(socketClosed.get(30, TimeUnit.SECONDS)).isEqualTo(1008);
        assertThat(events.get(30, TimeUnit.SECONDS).body()).contains("queues");
        for (CompletableFuture<HttpResponse<String>> call : List.of(longPoll, claim)) {
            assertThat(call.get(30, TimeUnit.SECONDS).statusCode()).isEqualTo(401);
            assertThat(call.get().body()).contains("the credential was revoked, or has expired");
        }
        await().atMost(LONG)
                .until(() ->
                        one.get("/agents/waiter").body().at("/agent/open_slots").asInt() == 0);
        socket.abort();
    }

    private static CompletableFuture<HttpResponse<String>> open(
            String key, String method, String path, @Nullable String body) {
        return HTTP.sendAsync(request(other, key, method, path, body).build(), HttpResponse.BodyHandlers.ofString());
    }

    private static HttpResponse<String> inBrowser(
            HttpClient browser, String method, String path, @Nullable String body, @Nullable String csrfToken)
            throws Exception {
        HttpRequest.Builder request = request(one, null, method, path, body);
        return browser.send(
                (csrfToken == null ? request : request.header("X-XSRF-TOKEN", csrfToken)).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    /** A proxy with TLS in front says so. */
    @Test
    void aCookieThatCameOverTlsStaysThere() throws Exception {
        String credential = Json.text(Json.object().put("credential", KEYS.get(Role.VIEWER)));
        HttpResponse<String> signedIn = HttpClient.newHttpClient()
                .send(
                        request(one, null, "POST", "/auth/session", credential)
                                .header("X-Forwarded-Proto", "https")
                                .build(),
                        HttpResponse.BodyHandlers.ofString());

        assertThat(signedIn.headers().allValues("Set-Cookie"))
                .anySatisfy(cookie ->
                        assertThat(cookie).startsWith("aitbc_session=").contains("; Secure"));
    }

    /** It is authenticated with its headers, and handled in a later dispatch. */
    @Test
    void aBodyThatArrivesLateIsOfTheSameCaller() throws IOException {
        String body = "{\"task_data\":{}}";
        for (Role role : List.of(Role.SUBMITTER, Role.VIEWER)) {
            try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), one.port())) {
                socket.setSoTimeout((int) LONG.toMillis());
                OutputStream out = socket.getOutputStream();
                out.write(("POST /tasks/submit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: "
                                + KEYS.get(role) + "\r\nContent-Type: application/json\r\nContent-Length: "
                                + body.length() + "\r\n\r\n{")
                        .getBytes(StandardCharsets.ISO_8859_1));
                out.flush();
                // Meanwhile, the server reads the headers.
                assertThat(one.get("/tasks/status").code()).isEqualTo(200);
                if (role == Role.SUBMITTER) {
                    out.write(body.substring(1).getBytes(StandardCharsets.ISO_8859_1));
                }
                assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
                        .startsWith(role == Role.SUBMITTER ? "HTTP/1.1 200" : "HTTP/1.1 403");
            }
        }
    }

    /** The server refuses it before it reads the body. */
    @Test
    void theBodyOfAnUnknownCallerIsNotRead() throws IOException {
        String response = raw("POST /tasks/submit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                + "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{");
        assertThat(response).startsWith("HTTP/1.1 401").contains("WWW-Authenticate: Bearer");
    }
}

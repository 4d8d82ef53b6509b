package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** Local users, with the requests of the AITBC coordinator's clients. */
class LoginTest {
    private static final Duration LONG = Duration.ofSeconds(60);

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(
                LocalStack.shared(),
                "login.",
                12,
                "--aitbc.security=on",
                "--aitbc.admin.key=admin-key-for-tests-of-32-characters-or-more",
                "--aitbc.jwt.secret=a secret of at least 32 bytes, for tests",
                "--aitbc.users.list="
                        + String.join(
                                "\n",
                                List.of(
                                        "admin:admin:" + UsersTest.hash("admin123"),
                                        "operator:operator:" + UsersTest.hash("operator123"),
                                        "user:user:" + UsersTest.hash("user123"),
                                        "demoted:operator:" + UsersTest.hash("demoted123"))));
    }

    @AfterAll
    static void stop() {
        coordinator.close();
    }

    private static Answer send(@Nullable String token, String method, String path, @Nullable String body) {
        HttpRequest.Builder request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + coordinator.port() + path))
                .header("Content-Type", "application/json")
                .method(
                        method,
                        body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body));
        return coordinator.send(token == null ? request : request.header("Authorization", "Bearer " + token));
    }

    private static JsonNode login(String user) {
        Answer answer =
                send(null, "POST", "/auth/login", "{\"username\":\"" + user + "\",\"password\":\"" + user + "123\"}");
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return answer.body();
    }

    private static String token(String user) {
        return login(user).get("access_token").asString();
    }

    @ParameterizedTest
    @CsvSource({"admin, 200, 200, 200", "operator, 403, 200, 200", "user, 403, 403, 200"})
    void aUserSignsInWithTheRightsOfItsRole(String name, int keys, int pause, int status) {
        JsonNode login = login(name);

        assertThat(login.get("status").asString()).isEqualTo("success");
        assertThat(login.get("user_id").asString()).isEqualTo(name);
        assertThat(login.get("username").asString()).isEqualTo(name);
        assertThat(login.get("role").asString()).isEqualTo(name);
        assertThat(login.get("token_type").asString()).isEqualTo("Bearer");
        assertThat(login.has("expires_at")).isTrue();
        String token = login.get("access_token").asString();
        assertThat(send(token, "GET", "/keys", null).code()).isEqualTo(keys);
        assertThat(send(token, "POST", "/tasks/queues/low/resume", null).code()).isEqualTo(pause);
        assertThat(send(token, "GET", "/tasks/status", null).code()).isEqualTo(status);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    {"username":"admin","password":"wrong"}     | 401 | Invalid credentials
                    {"username":"invalid","password":"invalid"} | 401 | Invalid credentials
                    {"username":"admin"}                        | 422 | Username and password are required
                    {"username":"","password":""}               | 422 | Username and password are required
                    {"username":"a","password":"%s"}           | 422 | must have at most 1000 characters
                    {"username":"a","password":{}} | 422 | password
                    """)
    void otherLoginsAreRefused(String body, int code, String detail) {
        Answer answer = send(null, "POST", "/auth/login", body.replace("%s", "x".repeat(1_001)));

        assertThat(answer.code()).isEqualTo(code);
        assertThat(answer.body().get("detail").asString()).contains(detail);
    }

    @Test
    void aTokenIsValidated() {
        JsonNode validated = send(null, "POST", "/auth/validate", "{\"token\":\"" + token("admin") + "\"}")
                .body();

        assertThat(validated.get("status").asString()).isEqualTo("success");
        assertThat(validated.get("valid").asBoolean()).isTrue();
        assertThat(validated.at("/payload/username").asString()).isEqualTo("admin");
        assertThat(validated.at("/payload/role").asString()).isEqualTo("admin");
        assertThat(validated.at("/payload/exp").isIntegralNumber()).isTrue();
        for (String token : List.of("invalid_token", "malformed.jwt.token")) {
            Answer refused = send(null, "POST", "/auth/validate", "{\"token\":\"" + token + "\"}");
            assertThat(refused.code()).isEqualTo(401);
            assertThat(refused.body().get("detail").asString()).startsWith("Invalid token");
        }
        assertThat(send(null, "POST", "/auth/validate", "{}").code()).isEqualTo(422);
    }

    @Test
    void aRefreshTokenServesToGetAccessTokensOnly() {
        String refresh = login("operator").get("refresh_token").asString();

        Answer refreshed = send(null, "POST", "/auth/refresh", "{\"refresh_token\":\"" + refresh + "\"}");

        assertThat(refreshed.body().get("status").asString()).isEqualTo("success");
        assertThat(refreshed.body().has("expires_at")).isTrue();
        String token = refreshed.body().get("token").asString();
        assertThat(send(token, "GET", "/tasks/status", null).code()).isEqualTo(200);
        assertThat(send(refresh, "GET", "/tasks/status", null).code()).isEqualTo(401);
        assertThat(send(null, "POST", "/auth/validate", "{\"token\":\"" + refresh + "\"}")
                        .code())
                .isEqualTo(401);
        for (String invalid : List.of("invalid_refresh_token", token)) {
            Answer refused = send(null, "POST", "/auth/refresh", "{\"refresh_token\":\"" + invalid + "\"}");
            assertThat(refused.code()).isEqualTo(401);
            assertThat(refused.body().get("detail").asString()).contains("Invalid or expired refresh token");
        }
        assertThat(send(null, "POST", "/auth/refresh", "{}").code()).isEqualTo(422);
    }

    @Test
    void keysAreGeneratedValidatedAndRevoked() {
        String admin = token("admin");
        assertThat(send(token("operator"), "POST", "/auth/api-key/generate?user_id=user", null)
                        .code())
                .isEqualTo(403);

        JsonNode generated = send(admin, "POST", "/auth/api-key/generate?user_id=operator", null)
                .body();
        String key = generated.get("api_key").asString();

        assertThat(key).hasSizeGreaterThan(30);
        assertThat(generated.has("created_at")).isTrue();
        assertThat(send(key, "POST", "/tasks/queues/low/resume", null).code()).isEqualTo(200);
        for (String request : List.of("{\"api_key\":\"" + key + "\"}", "")) {
            JsonNode validated = send(
                            null,
                            "POST",
                            "/auth/api-key/validate" + (request.isEmpty() ? "?api_key=" + key : ""),
                            request)
                    .body();
            assertThat(validated.get("status").asString()).isEqualTo("success");
            assertThat(validated.get("valid").asBoolean()).isTrue();
            assertThat(validated.get("user_id").asString()).isEqualTo("operator");
            assertThat(validated.get("permissions").isArray()).isTrue();
        }

        Answer revoked = send(admin, "DELETE", "/auth/api-key/" + key, null);

        assertThat(revoked.body().get("message").asString()).isEqualTo("API key revoked");
        Answer refused = send(null, "POST", "/auth/api-key/validate", "{\"api_key\":\"" + key + "\"}");
        assertThat(refused.code()).isEqualTo(401);
        assertThat(refused.body().get("detail").asString()).isEqualTo("Invalid API key");
        assertThat(send(admin, "DELETE", "/auth/api-key/" + key, null).code()).isEqualTo(404);
        assertThat(send(admin, "POST", "/auth/api-key/generate", null).code()).isEqualTo(422);
        assertThat(send(admin, "POST", "/auth/api-key/generate?user_id=a%20b", null)
                        .code())
                .isEqualTo(422);
    }

    /** The AITBC coordinator's permissions are not known here, but a key that was to read only must not do more. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    operator | ["agent:view","task:view"]    | viewer
                    operator | ["task:view","task:submit"]   | operator
                    operator | []                            | operator
                    user     | {"permissions":["task:view"]} | viewer
                    stranger | ["task:submit"]               | viewer
                    """)
    void aKeyGetsNoMoreThanWasAskedFor(String user, String body, String role) {
        assertThat(send(token("admin"), "POST", "/auth/api-key/generate?user_id=" + user, body)
                        .body()
                        .get("role")
                        .asString())
                .isEqualTo(role);
    }

    @Test
    void anAssignedRoleHoldsAtOnce() {
        String admin = token("admin");
        String demoted = token("demoted");
        assertThat(send(demoted, "POST", "/tasks/queues/low/resume", null).code())
                .isEqualTo(200);

        String key = send(admin, "POST", "/auth/api-key/generate?user_id=demoted", null)
                .body()
                .get("api_key")
                .asString();
        assertThat(send(key, "POST", "/tasks/queues/low/resume", null).code()).isEqualTo(200);

        JsonNode assigned =
                send(admin, "POST", "/users/demoted/role?role=readonly", null).body();

        assertThat(assigned.get("status").asString()).isEqualTo("success");
        assertThat(assigned.get("user_id").asString()).isEqualTo("demoted");
        assertThat(assigned.get("role").asString()).isEqualTo("readonly");
        assertThat(send(demoted, "POST", "/tasks/queues/low/resume", null).code())
                .isEqualTo(403);
        assertThat(send(key, "POST", "/tasks/queues/low/resume", null).code()).isEqualTo(403);
        assertThat(send(null, "POST", "/auth/validate", "{\"token\":\"" + demoted + "\"}")
                        .body()
                        .at("/payload/role")
                        .asString())
                .isEqualTo("readonly");
        assertThat(login("demoted").get("role").asString()).isEqualTo("readonly");
        assertThat(send(admin, "GET", "/users/demoted/role", null)
                        .body()
                        .get("role")
                        .asString())
                .isEqualTo("readonly");
        assertThat(send(admin, "GET", "/users/nobody/role", null).code()).isEqualTo(404);
        for (String role : List.of("boss", "agent", "")) {
            assertThat(send(admin, "POST", "/users/demoted/role?role=" + role, null)
                            .code())
                    .as(role)
                    .isEqualTo(400);
        }
    }

    @Test
    void rolesAndCountsAreListed() {
        String admin = token("admin");

        JsonNode roles = send(admin, "GET", "/roles", null).body();

        assertThat(roles.get("roles").propertyNames())
                .containsAll(Set.of("admin", "operator", "user", "readonly", "agent", "api_user"));
        assertThat(roles.get("total_roles").asInt())
                .isEqualTo(roles.get("roles").size());
        assertThat(send(admin, "GET", "/roles/admin", null)
                        .body()
                        .get("total_permissions")
                        .asInt())
                .isGreaterThan(40);
        assertThat(send(admin, "GET", "/roles/boss", null).code()).isEqualTo(400);
        JsonNode stats = send(admin, "GET", "/auth/stats", null).body().get("stats");
        assertThat(stats.get("total_users").asInt()).isGreaterThanOrEqualTo(4);
        assertThat(stats.at("/users_by_role/admin").asInt()).isEqualTo(1);
    }

    @Test
    void theDashboardSignsInWithUserAndPassword() {
        Answer session =
                send(null, "POST", "/auth/session", "{\"username\":\"operator\",\"password\":\"operator123\"}");

        assertThat(session.body().get("name").asString()).isEqualTo("operator");
        assertThat(send(null, "POST", "/auth/session", "{\"username\":\"operator\",\"password\":\"x\"}")
                        .code())
                .isEqualTo(401);
        assertThat(send(null, "POST", "/auth/session", "{\"username\":\"operator\"}")
                        .code())
                .isEqualTo(422);
    }

    @Test
    void theLastUseOfAKeyIsShown() {
        String admin = token("admin");
        JsonNode created = send(admin, "POST", "/keys", "{\"name\":\"used\",\"role\":\"viewer\"}")
                .body();
        assertThat(lastUse(admin, created)).isNull();

        send(created.get("api_key").asString(), "GET", "/tasks/status", null);

        assertThat(lastUse(admin, created)).isNotNull();
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(coordinator.awaitRaw("coordinator.keys", 1))
                        .anySatisfy(record -> assertThat(record.key())
                                .isEqualTo("used:" + created.at("/key/key_id").asString())));
    }

    private static @Nullable JsonNode lastUse(String admin, JsonNode created) {
        return send(admin, "GET", "/keys", null)
                .body()
                .get("keys")
                .valueStream()
                .filter(key -> key.get("key_id").equals(created.at("/key/key_id")))
                .findFirst()
                .orElseThrow()
                .get("last_used_at");
    }
}

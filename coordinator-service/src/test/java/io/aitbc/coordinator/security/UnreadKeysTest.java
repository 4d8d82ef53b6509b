package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpRequest;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A coordinator that has not read the keys and roles from Kafka. What it knows may have been revoked or replaced since, so it decides nothing
 * by it.
 */
class UnreadKeysTest {
    private static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.startUnhealthy(
                LocalStack.shared(),
                "unread.",
                6,
                "--aitbc.kafka.bootstrap-servers=127.0.0.1:1",
                "--aitbc.security=on",
                "--aitbc.jwt.secret=a secret of at least 32 bytes, for tests",
                "--aitbc.users.list=ada:admin:" + UsersTest.hash("secret"),
                "--aitbc.admin.key=" + ADMIN_KEY);
    }

    @AfterAll
    static void stop() {
        coordinator.close();
    }

    private static Answer send(@Nullable String key, String method, String path, String body) {
        HttpRequest.Builder request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + coordinator.port() + path))
                .header("Content-Type", "application/json")
                .method(method, HttpRequest.BodyPublishers.ofString(body));
        return coordinator.send(key == null ? request : request.header("X-API-Key", key));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    aitbc_any  | GET    | /roles                  |
                               | POST   | /auth/login             | {"username":"ada","password":"secret"}
                               | POST   | /auth/api-key/validate  | {"api_key":"aitbc_any"}
                    ADMIN      | GET    | /keys                   |
                    ADMIN      | DELETE | /keys/any               |
                    ADMIN      | DELETE | /auth/api-key/any       |
                    ADMIN      | DELETE | /auth/api-key/aitbc_any |
                    ADMIN      | GET    | /users/ada/role         |
                    """)
    void nothingIsDecided(@Nullable String key, String method, String path, @Nullable String body) {
        Answer answer = send("ADMIN".equals(key) ? ADMIN_KEY : key, method, path, body == null ? "" : body);

        assertThat(answer.detail()).isEqualTo("keys and roles are being read from Kafka: try again");
        assertThat(answer.code()).isEqualTo(503);
    }

    @ParameterizedTest
    @CsvSource({"/roles", "/auth/session"})
    void theConfiguredAdminKeyIsAccepted(String path) {
        assertThat(send(ADMIN_KEY, "GET", path, "").code()).isEqualTo(200);
    }
}

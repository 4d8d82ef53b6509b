package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.AclSetuserArgs;
import io.lettuce.core.RedisClient;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import tools.jackson.databind.JsonNode;

/** No secret is in the log, not even with level DEBUG, in a response, a metric or a dead letter. */
@ExtendWith(OutputCaptureExtension.class)
class SecretsTest {
    private static final String ADMIN_KEY = "secret-admin-key-of-at-least-32-characters";
    private static final String JWT_SECRET = "secret-of-tokens-of-at-least-32-bytes-in-utf-8";
    private static final String REDIS_PASSWORD = "secret-redis-password";
    private static final String KAFKA_PASSWORD = "secret-kafka-password";
    private static final String KEYSTORE_PASSWORD = "secret-keystore-password";
    private static final String PASSWORD = "secret-password-of-ada";
    private static final String WRONG_PASSWORD = "secret-wrong-password";
    private static final String WRONG_KEY = "aitbc_secret-unknown-key-0123456789";
    private static final String BASIC = "c2VjcmV0OmJhc2ljLXBhc3N3b3Jk";

    @Test
    void noSecretIsShown(CapturedOutput output, @TempDir Path folder) throws Exception {
        String hash = UsersTest.hash(PASSWORD);
        Path users = Files.writeString(folder.resolve("users"), "ada:operator:" + hash + "\n");
        Path kafka =
                Files.writeString(folder.resolve("kafka.properties"), """
                sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="c" password="%s";
                ssl.keystore.password=%s
                """.formatted(KAFKA_PASSWORD, KEYSTORE_PASSWORD));
        String redis = LocalStack.shared().redisUrl();
        try (RedisClient client = RedisClient.create(redis)) {
            client.connect()
                    .sync()
                    .aclSetuser(
                            "keeper",
                            AclSetuserArgs.Builder.on()
                                    .addPassword(REDIS_PASSWORD)
                                    .allKeys()
                                    .allChannels()
                                    .allCommands());
        }
        Map<String, String> secrets = new LinkedHashMap<>(Map.of(
                "admin key", ADMIN_KEY,
                "secret of tokens", JWT_SECRET,
                "password of Redis", REDIS_PASSWORD,
                "password of Kafka", KAFKA_PASSWORD,
                "password of the key store", KEYSTORE_PASSWORD,
                "hash of a password", hash));
        List<String> responses = new ArrayList<>();
        RunningCoordinator coordinator = RunningCoordinator.start(
                LocalStack.shared(),
                "secrets.",
                11,
                "--aitbc.log.level=DEBUG",
                // At this level, Kafka's clients list their settings.
                "--logging.level.org.apache.kafka=INFO",
                "--aitbc.security=on",
                "--aitbc.admin.key=" + ADMIN_KEY,
                "--aitbc.jwt.secret=" + JWT_SECRET,
                "--aitbc.users.file=" + users,
                "--aitbc.kafka.config=" + kafka,
                "--aitbc.redis.url=" + redis.replace("redis://", "redis://keeper:" + REDIS_PASSWORD + "@") + "/11");
        try (coordinator) {
            JsonNode created = coordinator
                    .post("/keys", "{\"name\":\"k\",\"role\":\"agent\",\"agent_id\":\"known\"}")
                    .body();
            String key = created.get("api_key").asString();
            JsonNode login = coordinator
                    .post("/auth/login", "{\"username\":\"ada\",\"password\":\"" + PASSWORD + "\"}")
                    .body();
            String token = login.get("access_token").asString();
            secrets.put("key", key);
            secrets.put("token", token);
            secrets.put("refresh token", login.get("refresh_token").asString());
            secrets.put("password", PASSWORD);
            secrets.put("wrong password", WRONG_PASSWORD);
            secrets.put("unknown key", WRONG_KEY);
            secrets.put("basic credentials", BASIC);

            for (String credential : List.of(key, token, WRONG_KEY)) {
                for (String header : List.of("Authorization: Bearer ", "X-API-Key: ", "Cookie: aitbc_session=")) {
                    responses.add(send(coordinator, "GET /tasks/status", header + credential, ""));
                    responses.add(send(coordinator, "POST /tasks/submit", header + credential, "{\"task_data\":1}"));
                }
                // In wrong places.
                responses.add(send(coordinator, "GET /tasks/status?api_key=" + credential, "", ""));
                responses.add(send(coordinator, "GET /tasks/status?access_token=" + credential, "", ""));
                responses.add(send(coordinator, "GET /ws?token=" + credential, "", ""));
                responses.add(send(coordinator, "POST /auth/api-key/validate?api_key=" + credential, "", ""));
                responses.add(send(coordinator, "GET /tasks/status", "X-API-Key: " + credential + " x", ""));
                responses.add(send(coordinator, "GET /tasks/status", "X-API-Key : " + credential, ""));
                responses.add(send(coordinator, "GET /tasks/status", "Authorization: " + credential, ""));
                responses.add(send(coordinator, "POST /auth/session", "", "{\"credential\":\"" + credential + "\"}"));
                responses.add(send(coordinator, "POST /auth/session", "", "{\"credential\":\"" + credential));
                responses.add(send(coordinator, "POST /auth/validate", "", "{\"token\":\"" + credential + "\"}"));
                responses.add(
                        send(coordinator, "POST /auth/refresh", "", "{\"refresh_token\":\"" + credential + "\"}"));
                responses.add(send(coordinator, "POST /auth/refresh", "", "{\"refresh_token\":{\"x\":\"" + credential));
                // These are repeated to their sender, as a path that does not exist.
                for (String path : List.of("/tasks/", "/keys/", "/nowhere/", "/tasks//", "/auth/api-key/none-")) {
                    send(coordinator, "GET " + path + credential, "X-API-Key: " + ADMIN_KEY, "");
                    send(coordinator, "DELETE " + path + credential, "X-API-Key: " + ADMIN_KEY, "");
                }
            }
            responses.add(send(coordinator, "GET /tasks/status", "Authorization: Basic " + BASIC, ""));
            for (String body : List.of(
                    "{\"username\":\"ada\",\"password\":\"" + WRONG_PASSWORD + "\"}",
                    "{\"username\":\"" + WRONG_PASSWORD + "\",\"password\":\"x\"}",
                    "{\"username\":\"ada\",\"password\":\"" + WRONG_PASSWORD,
                    "{\"username\":\"ada\",\"password\":{\"" + WRONG_PASSWORD + "\":1}}",
                    "{\"username\":\"ada\",\"password\":[\"" + WRONG_PASSWORD + "\"]}",
                    "username=ada&password=" + WRONG_PASSWORD,
                    WRONG_PASSWORD)) {
                responses.add(send(coordinator, "POST /auth/login", "", body));
                responses.add(send(coordinator, "POST /auth/session", "", body));
            }
            responses.add(send(coordinator, "POST /auth/login?password=" + WRONG_PASSWORD, "", "{}"));

            heartbeat(coordinator, key, "{\"agent_id\":\"another\"}");
            heartbeat(coordinator, WRONG_KEY, "{\"agent_id\":\"another\"}");
            heartbeat(coordinator, key, "no JSON");
            heartbeat(coordinator, key, "{\"agent_id\":\"known\",\"agent_type\":1}");
            coordinator.publish("tasks.low", "t", "no JSON");
            await().atMost(Duration.ofSeconds(60))
                    .until(() -> coordinator
                                    .get("/tasks/dead-letter")
                                    .body()
                                    .get("count")
                                    .asInt()
                            >= 2);
            for (String path : List.of(
                    "/",
                    "/health",
                    "/metrics",
                    "/metrics/summary",
                    "/metrics/health",
                    "/actuator",
                    "/actuator/health",
                    "/actuator/env",
                    "/actuator/configprops",
                    "/actuator/beans",
                    "/actuator/heapdump",
                    "/keys",
                    "/auth/stats",
                    "/coordinators",
                    "/tasks/dead-letter",
                    "/agents",
                    "/openapi.json",
                    "/auth/session")) {
                responses.add(send(coordinator, "GET " + path, "X-API-Key: " + ADMIN_KEY, ""));
            }
            coordinator.awaitRaw("tasks.dead-letter", 2).forEach(letter -> {
                responses.add(letter.value());
                letter.headers().forEach(header -> responses.add(header.key() + new String(header.value())));
            });
            assertThat(send(
                            coordinator,
                            "DELETE /keys/" + created.at("/key/key_id").asString(),
                            "X-API-Key: " + ADMIN_KEY,
                            ""))
                    .contains("200");
        }

        secrets.forEach((name, secret) -> {
            assertThat(output.getAll().lines().filter(line -> line.contains(secret)))
                    .as("%s in the log", name)
                    .isEmpty();
            assertThat(responses.stream().filter(response -> response.contains(secret)))
                    .as("%s in a response", name)
                    .isEmpty();
        });
        assertThat(output.getAll()).as("the level").contains("DEBUG");
    }

    @ParameterizedTest
    @CsvSource({
        "jwt.secret, secret-too-short",
        "admin.key, secret-too-short",
        "admin.key, 'secret with spaces, of 32 characters'",
        "users.list, ada:operator:secret-as-it-is",
        "redis.url, http://u:secret@host"
    })
    void aStartThatFailsDoesNotShowTheSecret(String name, String value, CapturedOutput output) {
        assertThatThrownBy(() -> RunningCoordinator.startUnhealthy(
                        LocalStack.shared(), "secrets.", 11, "--aitbc." + name + "=" + value))
                .isNotNull();
        assertThat(output.getAll()).contains("AITBC_").doesNotContain(value.substring(value.indexOf("secret")));
    }

    private static void heartbeat(RunningCoordinator coordinator, String key, String value) {
        ProducerRecord<String, String> record =
                new ProducerRecord<>(coordinator.topics().prefix() + "agents.heartbeat", "known", value);
        record.headers().add("api-key", key.getBytes(StandardCharsets.UTF_8));
        coordinator.send(record);
    }

    /** The response, with its headers, but without the cookie that a browser asked for. */
    private static String send(RunningCoordinator coordinator, String request, String header, String body)
            throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), coordinator.port())) {
            socket.setSoTimeout(60_000);
            socket.getOutputStream()
                    .write((request + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                    + "Content-Type: application/json\r\nContent-Length: " + body.length() + "\r\n"
                                    + header
                                    + (header.isEmpty() ? "" : "\r\n") + "\r\n" + body)
                            .getBytes(StandardCharsets.ISO_8859_1));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1)
                    .replaceFirst("Set-Cookie: aitbc_session=.*", "");
        }
    }
}

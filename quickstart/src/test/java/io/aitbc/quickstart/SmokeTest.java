package io.aitbc.quickstart;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.kafka.KafkaContainer;
import tools.jackson.databind.JsonNode;

/** End to end, through the user-facing entry points: a task submitted over REST is completed by an example agent. */
class SmokeTest {
    private static final String SHA_256_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    private final int port = LocalStack.freePort();

    @TempDir
    Path folder;

    @Test
    void onAStackOfItsOwnAndAgainAfterARestart() throws Exception {
        String[] arguments = {
            "--aitbc.coordinator.port=" + port,
            "--aitbc.local.kafka-port=" + LocalStack.freePort(),
            "--aitbc.local.kafka-controller-port=" + LocalStack.freePort(),
            "--aitbc.local.redis-port=" + LocalStack.freePort(),
            "--aitbc.local.postgres-port=" + LocalStack.freePort(),
            "--aitbc.local.data=" + folder
        };
        try (Quickstart quickstart = Quickstart.start(arguments)) {
            completeATask("first");
            assertThat(minHealthScore(quickstart)).isEqualTo(0.2);
        }
        System.setProperty("aitbc.registry.min-health-score", "0.1");
        try (Quickstart quickstart = Quickstart.start(arguments)) {
            assertThat(minHealthScore(quickstart))
                    .as("user settings take precedence")
                    .isEqualTo(0.1);
            assertThat(get("/tasks/first").get("status").asString()).isEqualTo("completed");
            completeATask("second");
            await().atMost(Duration.ofSeconds(30))
                    .untilAsserted(() -> assertThat(get("/tasks?status=completed&sort=submitted_at")
                                    .get("tasks")
                                    .valueStream()
                                    .map(task -> task.get("task_id").asString()))
                            .containsExactly("first", "second"));
            assertThat(get("/tasks/status").at("/stats/tasks_completed").asLong())
                    .isEqualTo(2);
        } finally {
            System.clearProperty("aitbc.registry.min-health-score");
        }
    }

    private static double minHealthScore(Quickstart quickstart) {
        return quickstart.bean(Registry.class).healthPolicy().minHealthScore();
    }

    @Test
    void onKafkaAndRedisInContainers() throws Exception {
        assumeTrue(DockerClientFactory.instance().isDockerAvailable(), "Docker is not available");
        try (KafkaContainer kafka = new KafkaContainer("apache/kafka:4.3.1");
                GenericContainer<?> redis = new GenericContainer<>("redis:8-alpine").withExposedPorts(6379)) {
            kafka.start();
            redis.start();
            try (Quickstart quickstart = Quickstart.start(new String[] {
                "--aitbc.coordinator.port=" + port,
                "--aitbc.kafka.bootstrap-servers=" + kafka.getBootstrapServers(),
                "--aitbc.redis.url=redis://" + redis.getHost() + ":" + redis.getFirstMappedPort()
            })) {
                completeATask("contained");
            }
        }
    }

    @Test
    void aPortInUseIsNamedWithThePropertyThatMovesIt() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            LocalSettings settings = LocalSettings.of(new String[] {
                "--aitbc.local.kafka-port=" + taken.getLocalPort(),
                "--aitbc.local.kafka-controller-port=" + LocalStack.freePort(),
                "--aitbc.local.redis-port=" + LocalStack.freePort(),
                "--aitbc.coordinator.port=" + port
            });
            assertThatThrownBy(settings::checkPorts)
                    .isInstanceOf(LocalSettings.StartupException.class)
                    .hasMessageContainingAll(
                            "Port " + taken.getLocalPort(), "aitbc.local.kafka-port", "AITBC_LOCAL_KAFKA_PORT=");
        }
    }

    private void completeATask(String id) throws Exception {
        HttpRequest submission = HttpRequest.newBuilder(uri("/tasks/submit"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"task_id\":\"" + id
                        + "\",\"task_data\":{\"task_type\":\"hash\",\"text\":\"hello\"},"
                        + "\"requirements\":{\"capabilities\":[\"hash\"]}}"))
                .build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(submission, HttpResponse.BodyHandlers.ofString());
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
        JsonNode task = await().atMost(Duration.ofSeconds(90))
                .until(
                        () -> get("/tasks/" + id),
                        found -> "completed".equals(found.get("status").asString()));
        assertThat(task.get("result").toString()).contains(SHA_256_OF_HELLO);
    }

    private JsonNode get(String path) throws Exception {
        return Json.MAPPER.readTree(HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(uri(path)).build(), HttpResponse.BodyHandlers.ofString())
                .body());
    }

    private URI uri(String path) {
        return URI.create("http://127.0.0.1:" + port + path);
    }
}

package io.aitbc.coordinator.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Instant;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** What clients of the AITBC coordinator rely on, row by row of the table in docs/existing-clients.md. */
class ExistingClientsTest {
    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "existing.", 12);
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    @Test
    void theIndexDescribesTheService() {
        JsonNode index = coordinator.get("/").body();
        assertThat(index.get("description").asString()).isNotEmpty();
        assertThat(index.get("endpoints").isArray()).isTrue();
    }

    @Test
    void agentsAreFoundByServiceAndByCapability() {
        coordinator.post(
                "/agents/register",
                "{\"agent_id\":\"found\",\"agent_type\":\"worker\",\"services\":[\"translation\"],\"capabilities\":[\"cuda:12\"]}");

        JsonNode byService = coordinator.get("/agents/service/translation").body();
        assertThat(byService.get("service").asString()).isEqualTo("translation");
        assertThat(byService.at("/agents/0/agent_id").asString()).isEqualTo("found");
        assertThat(byService.get("count").asInt()).isEqualTo(1);
        JsonNode byCapability = coordinator.get("/v1/agents/capability/cuda:12").body();
        assertThat(byCapability.get("capability").asString()).isEqualTo("cuda:12");
        assertThat(byCapability.at("/agents/0/agent_id").asString()).isEqualTo("found");
        assertThat(coordinator.get("/agents/service/none").body().get("count").asInt())
                .isZero();
        assertThat(coordinator.get("/agents/capability/cuda%3E%3Dmany").code()).isEqualTo(422);
    }

    @Test
    void anErrorHasAMessageAndATimestamp() throws Exception {
        for (Answer answer : new Answer[] {
            coordinator.get("/agents/nobody"),
            coordinator.get("/nothing"),
            coordinator.post("/tasks/submit", "{"),
            coordinator.post("/tasks/submit", "\"" + "x".repeat(2 * 1024 * 1024) + "\""),
            coordinator.get("/tasks/" + "x".repeat(20_000))
        }) {
            JsonNode problem = answer.body();
            assertThat(problem.get("status").asInt()).isEqualTo(answer.code()).isGreaterThanOrEqualTo(400);
            assertThat(problem.get("message").asString())
                    .isNotEmpty()
                    .isEqualTo(problem.get("detail").asString());
            assertThat(Instant.parse(problem.get("timestamp").asString()))
                    .isBefore(Instant.now().plusSeconds(5));
        }
    }

    @Test
    void metricsAreSummedUpAsJson() {
        coordinator.register("counted", 1);
        coordinator.get("/agents/nobody");
        JsonNode summary = coordinator.get("/metrics/summary").body();
        assertThat(summary.get("status").asString()).isEqualTo("success");
        JsonNode performance = summary.get("performance");
        assertThat(performance.get("total_requests").asLong()).isGreaterThan(1);
        assertThat(performance.get("total_errors").asLong()).isPositive();
        assertThat(performance.get("error_rate").asDouble()).isBetween(0.0001, 1.0);
        assertThat(performance.get("avg_response_time").asDouble()).isBetween(0.0001, 60.0);
        assertThat(performance.get("p99_response_time").asDouble())
                .isGreaterThanOrEqualTo(performance.get("p95_response_time").asDouble());
        assertThat(performance.get("p95_response_time").asDouble()).isPositive();
        assertThat(performance.get("uptime_seconds").asDouble()).isPositive();
        JsonNode system = summary.get("system");
        assertThat(system.get("total_agents").asInt()).isPositive();
        assertThat(system.get("active_agents").asInt()).isPositive();
        assertThat(system.get("total_tasks").isNumber()).isTrue();
        assertThat(system.get("load_balancer_strategy").asString()).isEqualTo("least_connections");

        JsonNode health = coordinator.get("/v1/metrics/health").body().get("health");
        JsonNode memory = health.get("memory");
        assertThat(memory.get("total").asLong())
                .isEqualTo(memory.get("used").asLong() + memory.get("available").asLong());
        assertThat(memory.get("percentage").asDouble()).isBetween(0.1, 100.0);
        assertThat(health.at("/cpu/percentage").asDouble()).isBetween(0.0, 100.0);
        assertThat(health.at("/cpu/count").asInt()).isPositive();
        assertThat(health.get("uptime").asDouble()).isPositive();
    }

    /** Method and body are kept, so that a submission is not lost. */
    @Test
    void aTrailingSlashIsRedirected() throws Exception {
        HttpClient client = HttpClient.newBuilder()
                .followRedirects(HttpClient.Redirect.NORMAL)
                .build();
        String base = "http://127.0.0.1:" + coordinator.port();

        HttpResponse<String> found = client.send(
                HttpRequest.newBuilder(URI.create(base + "/agents/?limit=1")).build(),
                HttpResponse.BodyHandlers.ofString());
        HttpResponse<String> submitted = client.send(
                HttpRequest.newBuilder(URI.create(base + "/tasks/submit/"))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(
                                "{\"task_id\":\"slashed\",\"task_data\":{},\"not_before\":\"2100-01-01T00:00:00Z\"}"))
                        .build(),
                HttpResponse.BodyHandlers.ofString());

        assertThat(found.statusCode()).isEqualTo(200);
        assertThat(found.uri().getQuery()).isEqualTo("limit=1");
        assertThat(submitted.statusCode()).isEqualTo(200);
        assertThat(coordinator.awaitTask("slashed", "queued").get("task_id").asString())
                .isEqualTo("slashed");
    }

    @Test
    void aLoadMetricMayBeANumberAsText() {
        coordinator.register("texting", 4);
        Answer answer = coordinator.send(
                "PUT",
                "/agents/texting/status",
                "{\"status\":\"active\",\"load_metrics\":{\"cpu_usage\":\"0.5\",\"queue\":\"12\",\"memory_usage\":0.25}}");
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        assertThat(coordinator.get("/agents/texting").body().at("/agent/load_metrics"))
                .isEqualTo(Json.MAPPER.readTree("{\"cpu_usage\":0.5,\"memory_usage\":0.25,\"queue\":12.0}"));
        assertThat(coordinator
                        .send(
                                "PUT",
                                "/agents/texting/status",
                                "{\"status\":\"active\",\"load_metrics\":{\"cpu_usage\":\"much\"}}")
                        .code())
                .isEqualTo(422);
    }

    @Test
    void theLoadBalancersStatsAreNumbers() {
        coordinator.register("weighted", 4);
        JsonNode stats = coordinator.get("/load-balancer/stats").body().get("stats");
        assertThat(stats.get("agent_weights").isNumber()).isTrue();
        assertThat(stats.get("avg_agent_load").isNumber()).isTrue();
        assertThat(stats.get("weights_by_agent").isObject()).isTrue();
        assertThat(stats.get("avg_capacity_used").isNumber()).isTrue();
    }
}

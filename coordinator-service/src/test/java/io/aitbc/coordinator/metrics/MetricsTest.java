package io.aitbc.coordinator.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Metrics scraped by Prometheus, and the alerts and dashboards based on them. */
class MetricsTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final Path OPERATIONS = Path.of("..", "operations");
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final Pattern NAME = Pattern.compile("\\b(?:cluster|coordinator)_[a-z0-9_]+");

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "metrics.", 0);
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    @Test
    void eventsAreCounted() {
        coordinator.register("metrics-agent", 2, "metrics");
        String task =
                "{\"task_data\":{},\"max_attempts\":1,\"priority\":\"high\",\"requirements\":{\"capabilities\":[\"metrics\"]}}";
        for (int i = 0; i < 2; i++) {
            coordinator.submit(task);
        }
        List<JsonNode> assignments = coordinator.awaitRecords("assignments.metrics-agent", 2);
        coordinator.report(assignments.get(0), "completed", null);
        coordinator.report(assignments.get(1), "failed", "no luck");
        coordinator.publish("tasks.high", "bad", "not JSON");
        coordinator.submit(
                "{\"task_data\":{},\"priority\":\"low\",\"requirements\":{\"capabilities\":[\"of-nobody\"]}}");

        Map.of(
                        "coordinator_tasks_received_total{priority=\"high\"}", 2.0,
                        "coordinator_task_distribution_seconds_count{priority=\"high\"}", 2.0,
                        "coordinator_attempts_ended_total{ending=\"completed\"}", 1.0,
                        "coordinator_attempts_ended_total{ending=\"failed\"}", 1.0,
                        "coordinator_dead_letters_total{reason=\"attempts_exhausted\"}", 1.0,
                        "coordinator_dead_letters_total{reason=\"malformed\"}", 1.0,
                        "cluster_tasks_total{event=\"completed\"}", 1.0,
                        "cluster_tasks_total{event=\"failed\"}", 1.0,
                        "cluster_queue_size{priority=\"low\"}", 1.0,
                        "cluster_load_balancer_success_ratio", 0.5)
                .forEach((name, value) -> await().atMost(LONG)
                        .untilAsserted(() -> assertThat(samples()).containsEntry(name, value)));
        assertThat(samples())
                .containsEntry("cluster_coordinators", 1.0)
                .containsEntry("cluster_load_balancer_strategy{strategy=\"least_connections\"}", 1.0)
                .containsEntry("coordinator_kafka_up", 1.0)
                .containsEntry("coordinator_redis_up", 1.0)
                .containsEntry("coordinator_partitions", 15.0);
        // Other tests have agents and tasks, too.
        assertThat(samples().get("cluster_agents_active")).isPositive();
        assertThat(samples().get("coordinator_reservations_total{ruling=\"granted\"}"))
                .isGreaterThanOrEqualTo(2);
    }

    @Test
    void noMetricIsLabelledByAgentOrTask() {
        for (int i = 0; i < 20; i++) {
            coordinator.register("labelled-" + i, 1, "labelled");
            coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"labelled\"]}}");
        }
        await().atMost(LONG)
                .until(() -> IntStream.range(0, 20)
                        .allMatch(i -> coordinator
                                        .get("/agents/labelled-" + i)
                                        .body()
                                        .at("/agent/inflight")
                                        .asInt()
                                == 1));

        assertThat(samples().keySet()).noneMatch(name -> name.contains("labelled-") || name.contains("assignments."));
        assertThat(samples()).hasSizeLessThan(1_500);
    }

    @Test
    void limitsKeysAndDemandAreCounted() {
        coordinator.send(
                "PUT", "/limits/metered", "{\"concurrency\": 2, \"budget\": {\"units\": 10, \"per\": \"month\"}}");
        coordinator.register("metered-agent", 5, "metered");
        for (int i = 0; i < 3; i++) {
            coordinator.submit(
                    "{\"task_data\":{},\"fairness_key\":\"metered\",\"uses\":{\"metered\":1},\"requirements\":{\"capabilities\":[\"metered\"]}}");
        }

        Map.of(
                        "cluster_limit_used{limit=\"metered\"}", 2.0,
                        "cluster_limit_used_ratio{limit=\"metered\"}", 1.0,
                        "cluster_limit_budget_spent_ratio{limit=\"metered\"}", 0.2,
                        "cluster_limit_waiting{limit=\"metered\"}", 1.0,
                        "cluster_fairness_key_waiting{fairness_key=\"metered\"}", 1.0,
                        "cluster_demand_agents{agent_type=\"worker\",capabilities=\"metered\"}", 1.0,
                        "cluster_demand_agents_active{agent_type=\"worker\",capabilities=\"metered\"}", 1.0)
                .forEach((name, value) -> await().atMost(LONG)
                        .untilAsserted(() -> assertThat(samples()).containsEntry(name, value)));
        assertThat(samples()).containsKey("cluster_demand_unserved");
        assertThat(samples().get("cluster_limit_oldest_seconds{limit=\"metered\"}"))
                .isPositive();
    }

    @ParameterizedTest
    @ValueSource(strings = {"alerts.yml", "grafana-dashboard.json"})
    void alertsAndGraphsUseExistingMetrics(String file) throws IOException {
        coordinator.send("PUT", "/limits/alerted", "{\"budget\": {\"units\": 10, \"per\": \"month\"}}");
        coordinator.submit(
                "{\"task_data\":{},\"fairness_key\":\"alerted\",\"requirements\":{\"capabilities\":[\"of-nobody\"]}}");
        await().atMost(LONG)
                .until(() -> samples().containsKey("cluster_limit_budget_spent_ratio{limit=\"alerted\"}")
                        && samples().containsKey("cluster_fairness_key_oldest_seconds{fairness_key=\"alerted\"}"));
        Set<String> there = samples().keySet().stream()
                .map(name -> name.replaceAll("\\{.*", ""))
                .collect(Collectors.toSet());

        Set<String> used = new TreeSet<>();
        Matcher names = NAME.matcher(Files.readString(OPERATIONS.resolve(file)));
        while (names.find()) {
            used.add(names.group());
        }

        assertThat(used).hasSizeGreaterThan(5);
        assertThat(there).containsAll(used);
    }

    @Test
    void eachAlertHasALineInTheRunbook() throws IOException {
        String runbook = Files.readString(Path.of("..", "docs", "runbook.md"));
        List<String> alerts = Files.readAllLines(OPERATIONS.resolve("alerts.yml")).stream()
                .map(String::strip)
                .filter(line -> line.startsWith("- alert:"))
                .map(line -> line.substring("- alert:".length()).strip())
                .toList();

        assertThat(alerts)
                .hasSizeGreaterThan(5)
                .allSatisfy(alert -> assertThat(runbook).contains("## " + alert + "\n"));
    }

    @Test
    void promtoolReportsNoProblems() throws Exception {
        Path promtool = Stream.of(System.getenv("PATH").split(":"))
                .map(folder -> Path.of(folder, "promtool"))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
        assumeTrue(promtool != null, "promtool is not installed");
        Path scraped = Files.createTempFile("metrics", ".txt");
        // Names of metrics from libraries are outside our control.
        Files.writeString(
                scraped,
                scrape().lines()
                        .filter(line -> line.matches("(# (HELP|TYPE) )?(cluster|coordinator)_.*"))
                        .collect(Collectors.joining("\n", "", "\n")));

        assertThat(run(scraped, promtool.toString(), "check", "metrics")).isEmpty();
        assertThat(run(
                        null,
                        promtool.toString(),
                        "check",
                        "rules",
                        OPERATIONS.resolve("alerts.yml").toString()))
                .contains("SUCCESS");
        assertThat(run(
                        null,
                        promtool.toString(),
                        "test",
                        "rules",
                        OPERATIONS.resolve("alerts-test.yml").toString()))
                .contains("SUCCESS");
        assertThat(run(
                        null,
                        promtool.toString(),
                        "check",
                        "config",
                        OPERATIONS.resolve("prometheus.yml").toString()))
                .contains("SUCCESS");
        Files.delete(scraped);
    }

    @Test
    void theGrafanaDashboardIsJsonWithPanels() throws IOException {
        JsonNode dashboard = Json.MAPPER.readTree(Files.readString(OPERATIONS.resolve("grafana-dashboard.json")));

        assertThat(dashboard.get("panels").size()).isGreaterThan(8);
        assertThat(dashboard.get("title").asString()).isEqualTo("Agent Coordinator");
    }

    private static String run(Path input, String... command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        if (input != null) {
            builder.redirectInput(input.toFile());
        }
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor())
                .as("%s said %s", Arrays.toString(command), output)
                .isZero();
        return output;
    }

    private static Map<String, Double> samples() {
        return scrape().lines()
                .filter(line -> !line.startsWith("#") && !line.isEmpty())
                .collect(Collectors.toMap(
                        line -> line.substring(0, line.lastIndexOf(' ')),
                        line -> Double.parseDouble(
                                line.substring(line.lastIndexOf(' ') + 1).replace("+Inf", "Infinity"))));
    }

    private static String scrape() {
        try {
            HttpResponse<String> answer = HTTP.send(
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + coordinator.port() + "/metrics"))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            assertThat(answer.statusCode()).isEqualTo(200);
            assertThat(answer.headers().firstValue("Content-Type").orElse("")).startsWith("text/plain;version=0.0.4");
            return answer.body();
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}

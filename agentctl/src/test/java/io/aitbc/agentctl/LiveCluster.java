package io.aitbc.agentctl;

import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.coordinator.CoordinatorApplication;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import io.aitbc.worker.AgentWorker;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import io.aitbc.worker.handlers.Echo;
import io.aitbc.worker.handlers.TaskTypes;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.boot.SpringApplication;
import org.springframework.context.ConfigurableApplicationContext;
import tools.jackson.databind.JsonNode;

/**
 * A coordinator with security on, and two agents: grace executes tasks, and holds tasks of type "hold" until released; ada is in maintenance and never
 * consumes its topic.
 */
final class LiveCluster implements AutoCloseable {
    private static final Duration LONG = Duration.ofSeconds(90);

    static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";

    private final Semaphore letGo = new Semaphore(0);
    private final LocalStack stack = LocalStack.shared();
    private final LocalPostgres postgres;
    private final ConfigurableApplicationContext context;
    private final Coordinator rest;
    private final AgentWorker grace;

    /** @param folder for the history */
    LiveCluster(Path folder) {
        postgres = LocalPostgres.start(folder, LocalStack.freePort());
        context = SpringApplication.run(
                CoordinatorApplication.class,
                "--aitbc.kafka.bootstrap-servers=" + stack.bootstrapServers(),
                "--aitbc.redis.url=" + stack.redisUrl(),
                "--aitbc.coordinator.port=0",
                "--server.address=127.0.0.1",
                "--aitbc.topics.partitions=1",
                "--aitbc.log.level=WARN",
                "--aitbc.security=on",
                "--aitbc.history.url=" + postgres.url(),
                "--aitbc.admin.key=" + ADMIN_KEY,
                // The agent shares a process with the broker and reports its load as its own.
                "--aitbc.registry.max-cpu=2",
                "--aitbc.registry.min-health-score=0.2");
        rest = new Coordinator(url(), ADMIN_KEY);
        await().atMost(LONG).until(this::isHealthy);
        Map<String, Handler> handlers = Map.of("echo", new Echo(), "fail", this::fail, "hold", this::hold);
        grace = AgentWorker.builder(
                        stack.bootstrapServers(),
                        Registration.of("grace", "worker", List.of("echo", "fail", "hold"), 200),
                        new TaskTypes(handlers))
                .drainTimeout(Duration.ZERO)
                .apiKey(ADMIN_KEY)
                .start();
        rest.post("/agents/register", Json.read("""
                        {"agent_id": "ada", "agent_type": "provider", "capabilities": ["analysis"], "capacity": 4,
                         "region": "eu-west"}""", JsonNode.class));
        reachOverKafka("ada");
        rest.put("/agents/ada/status", Json.object().put("status", "maintenance"));
        await().atMost(LONG)
                .until(() -> rest.get("/agents?status=active").path("total").asInt() == 1);
    }

    /** One heartbeat, as an agent sends it that reads its topic: without it, the agent would be assigned nothing. */
    private void reachOverKafka(String agentId) {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, stack.bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
            ProducerRecord<String, String> heartbeat =
                    new ProducerRecord<>("agents.heartbeat", agentId, "{\"agent_id\":\"" + agentId + "\"}");
            heartbeat.headers().add(TaskHeaders.API_KEY, ADMIN_KEY.getBytes(StandardCharsets.UTF_8));
            producer.send(heartbeat);
        }
        await().atMost(LONG)
                .until(() -> !rest.get("/agents/" + agentId).path("agent").has("not_reached"));
    }

    String url() {
        return "http://127.0.0.1:" + context.getEnvironment().getRequiredProperty("local.server.port");
    }

    Coordinator rest() {
        return rest;
    }

    /** Releases one of the tasks that grace holds. */
    void letGo() {
        letGo.release();
    }

    @Override
    public void close() {
        grace.close();
        context.close();
        postgres.close();
    }

    private boolean isHealthy() throws IOException, InterruptedException {
        return HttpClient.newHttpClient()
                        .send(
                                HttpRequest.newBuilder(URI.create(url() + "/health"))
                                        .build(),
                                HttpResponse.BodyHandlers.discarding())
                        .statusCode()
                == 200;
    }

    private JsonNode fail(Assignment assignment, AssignmentContext context) {
        throw new IllegalStateException("disk on fire");
    }

    private JsonNode hold(Assignment assignment, AssignmentContext context) throws InterruptedException {
        letGo.acquire();
        return Json.object().put("held", true);
    }
}

package io.aitbc.examples.orders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.CoordinatorApplication;
import io.aitbc.localstack.LocalStack;
import io.aitbc.worker.AgentWorker;
import io.aitbc.worker.Handler;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** The service with a real coordinator, and an agent that packs. */
class OrdersTest {
    private static final String PREFIX = "orders.";
    private static final int DATABASE = 15;
    private static final Duration LONG = Duration.ofSeconds(90);

    private static ConfigurableApplicationContext coordinator;
    private static ConfigurableApplicationContext service;
    private static OrderService orders;
    private static Orders stored;

    @BeforeAll
    static void start() {
        LocalStack stack = LocalStack.shared();
        coordinator = new SpringApplicationBuilder(CoordinatorApplication.class)
                .run(
                        "--aitbc.kafka.bootstrap-servers=" + stack.bootstrapServers(),
                        "--aitbc.redis.url=" + stack.redisUrl() + "/" + DATABASE,
                        "--aitbc.coordinator.port=0",
                        "--server.address=127.0.0.1",
                        "--aitbc.topics.prefix=" + PREFIX,
                        "--aitbc.topics.partitions=2",
                        "--aitbc.settle.retry-backoff=10ms");
        await().atMost(LONG)
                .ignoreExceptions()
                .until(() -> send("GET", "/health").statusCode() == 200);
        service = new SpringApplicationBuilder(OrdersApplication.class)
                .web(WebApplicationType.NONE)
                .run(
                        // The settings of the coordinator are on the class path too: its Kafka, and
                        // a health group with an indicator that only it has.
                        "--aitbc.kafka.bootstrap-servers=" + stack.bootstrapServers(),
                        "--management.endpoint.health.validate-group-membership=false",
                        "--spring.kafka.bootstrap-servers=" + stack.bootstrapServers(),
                        "--orders.topic-prefix=" + PREFIX);
        orders = service.getBean(OrderService.class);
        stored = service.getBean(Orders.class);
    }

    @AfterAll
    static void end() {
        service.close();
        coordinator.close();
    }

    @Test
    void theServiceLearnsHowItsTasksEnded() throws Exception {
        orders.pack(3, "a book").join();
        await().atMost(LONG).until(() -> send("POST", "/tasks/order-3/cancel").statusCode() == 200);
        awaitOutcome(3, "cancelled");

        try (AgentWorker packer = packer()) {
            orders.pack(1, "a lamp").join();
            orders.pack(2, "a broken lamp").join();

            awaitOutcome(1, "completed");
            awaitOutcome(2, "failed");
        }
        assertThat(stored.find("order-3").orElseThrow().outcome()).isEqualTo("cancelled");
    }

    private static AgentWorker packer() {
        LocalStack stack = LocalStack.shared();
        return AgentWorker.builder(
                        stack.bootstrapServers(),
                        Registration.of("packer", "worker", List.of("pack"), 2),
                        (assignment, context) -> {
                            if (assignment.taskData().get("article").asString().contains("broken")) {
                                throw new Handler.PermanentFailureException("it is broken");
                            }
                            return Json.tree("packed");
                        })
                .topics(new Topics(PREFIX))
                .start();
    }

    private static void awaitOutcome(int number, String outcome) {
        await().atMost(LONG)
                .until(() -> stored.find("order-" + number).orElseThrow().outcome(), outcome::equals);
    }

    private static HttpResponse<String> send(String method, String path) throws Exception {
        return HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create("http://127.0.0.1:"
                                        + coordinator.getEnvironment().getRequiredProperty("local.server.port") + path))
                                .method(method, HttpRequest.BodyPublishers.noBody())
                                .build(),
                        HttpResponse.BodyHandlers.ofString());
    }
}

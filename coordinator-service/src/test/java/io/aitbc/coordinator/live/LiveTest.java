package io.aitbc.coordinator.live;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Scanner;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Live updates to subscribers. */
class LiveTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "live.", 8);
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    @Test
    void aTaskIsReportedFromSubmissionToItsEnd() {
        try (Client client = new Client("/ws?topics=tasks/life-1")) {
            client.await(message -> status(message).equals("unknown"));
            coordinator.submit(
                    "{\"task_id\":\"life-1\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"life\"]}}");
            client.await(message -> status(message).equals("queued"));
            coordinator.register("life-agent", 1, "life");
            client.await(message -> status(message).equals("assigned"));
            coordinator.report(
                    coordinator.awaitRecords("assignments.life-agent", 1).get(0), "completed", null);
            JsonNode last = client.await(message -> status(message).equals("completed"));

            assertThat(last.at("/data/result/done").asBoolean()).isTrue();
            assertThat(client.messages)
                    .allSatisfy(message -> assertThat(message.get("v").asInt()).isEqualTo(1));
        }
    }

    @Test
    void queuesAreSentInFullWithTheirPauseState() {
        try (Client client = new Client("/ws")) {
            client.say("{\"subscribe\":[\"queues\"]}");
            client.await(message -> topic(message).equals("queues"));
            coordinator.post("/tasks/queues/low/pause", "");
            client.await(message -> message.at("/data/queues/low/paused").asBoolean());
            coordinator.submit("{\"task_data\":{},\"priority\":\"low\"}");
            client.await(message -> message.at("/data/queues/low/size").asLong() == 1);
        } finally {
            coordinator.post("/tasks/queues/low/clear", "");
            coordinator.post("/tasks/queues/low/resume", "");
        }
    }

    @Test
    void agentsAreSentInFullFirstAndThenAsChanges() {
        coordinator.register("told-1", 5, "told");
        try (Client client = new Client("/ws?topics=agents")) {
            JsonNode whole = client.await(message -> message.toString().contains("\"told-1\""));
            assertThat(client.messages.get(0).get("kind").asString()).isEqualTo("whole");

            coordinator.register("told-2", 5, "told");
            JsonNode change = client.await(message ->
                    message.at("/data/changed").findValuesAsString("agent_id").contains("told-2"));
            assertThat(change.get("kind").asString()).isEqualTo("change");
            assertThat(change.get("number").asLong())
                    .isGreaterThan(whole.get("number").asLong());

            coordinator.send("PUT", "/agents/told-1/status", "{\"status\":\"maintenance\"}");
            client.await(message -> message.at("/data/changed").toString().contains("\"maintenance\""));
        }
    }

    @Test
    void statsAndHistoryDescribeTheCluster() {
        try (Client client = new Client("/ws?topics=stats%2Chistory")) {
            JsonNode stats =
                    client.await(message -> message.at("/data/coordinators").size() == 1);
            assertThat(stats.at("/data/load_balancer/strategy").asString()).isEqualTo("least_connections");
            assertThat(client.await(message -> topic(message).equals("history"))
                            .at("/data/points")
                            .size())
                    .isPositive();
        }
    }

    @Test
    void anUnknownTopicIsRefusedWithAnExplanation() {
        try (Client client = new Client("/ws?topics=weather")) {
            assertThat(client.await(message -> message.has("detail"))
                            .get("detail")
                            .asString())
                    .isEqualTo(
                            "unknown topic weather: the topics are queues, agents, stats, history and tasks/{task_id}");
            client.say("not JSON");
            client.await(message -> message.path("detail").asString("").contains("JSON"));
            client.say("{}");
            client.await(message -> message.path("detail").asString("").startsWith("send {"));
            // The connection stays usable.
            client.say("{\"subscribe\":[\"queues\"]}");
            client.await(message -> topic(message).equals("queues"));
        }
    }

    @Test
    void theNumberOfTopicsPerClientIsLimited() {
        try (Client client = new Client("/ws")) {
            for (int i = 0; i <= LiveTopics.MAX_TASKS_PER_CLIENT; i++) {
                client.say("{\"subscribe\":[\"tasks/many-" + i + "\"]}");
            }
            client.await(message ->
                    message.path("detail").asString("").equals("at most 100 tasks can be subscribed to at once"));
        }
    }

    @Test
    void connectionsFromOtherOriginsAreRefused() {
        CompletableFuture<WebSocket> opened = HTTP.newWebSocketBuilder()
                .header("Origin", "https://elsewhere.example")
                .buildAsync(address("ws", "/ws"), new WebSocket.Listener() {});
        assertThat(opened).failsWithin(LONG).withThrowableThat().withMessageContaining("WebSocketHandshakeException");
    }

    @Test
    void serverSentEventsCarryTheSameMessages() throws Exception {
        HttpResponse<InputStream> answer = HTTP.send(
                HttpRequest.newBuilder(address("http", "/events?topics=queues,stats"))
                        .build(),
                HttpResponse.BodyHandlers.ofInputStream());
        try (Scanner lines = new Scanner(answer.body())) {
            assertThat(answer.headers().firstValue("Content-Type").orElse("")).startsWith("text/event-stream");
            List<String> topics = new CopyOnWriteArrayList<>();
            while (!topics.containsAll(List.of("queues", "stats"))) {
                String line = lines.nextLine();
                if (line.startsWith("data:")) {
                    topics.add(topic(Json.MAPPER.readTree(line.substring("data:".length()))));
                }
            }
        }
    }

    @Test
    void eventsOfAnUnknownTopicAreRefused() {
        assertThat(coordinator.get("/events?topics=weather").detail()).startsWith("unknown topic weather");
        assertThat(coordinator.get("/events").code()).isEqualTo(422);
    }

    @Test
    void allMessagesConformToTheSchema() {
        Schema schema = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                .getSchema(SchemaLocation.of("classpath:schemas/live.schema.json"));
        coordinator.register("schema-1", 5, "schema");
        try (Client client = new Client("/ws?topics=queues,agents,stats,history,tasks/schema,weather")) {
            for (String topic : List.of("queues", "agents", "stats", "history", "tasks/schema")) {
                client.await(message -> topic(message).equals(topic));
            }
            client.await(message -> message.get("kind").asString().equals("refused"));
            client.await(message -> message.get("kind").asString().equals("alive"));
            assertThat(client.messages)
                    .allSatisfy(message -> assertThat(schema.validate(message)).isEmpty());
        }
    }

    private static URI address(String scheme, String path) {
        return URI.create(scheme + "://127.0.0.1:" + coordinator.port() + path);
    }

    private static String topic(JsonNode message) {
        return message.path("topic").asString("");
    }

    private static String status(JsonNode message) {
        return message.at("/data/status").asString("");
    }

    private static final class Client implements WebSocket.Listener, AutoCloseable {
        private final List<JsonNode> messages = new CopyOnWriteArrayList<>();
        private final StringBuilder part = new StringBuilder();
        private final WebSocket socket;

        Client(String path) {
            socket = HTTP.newWebSocketBuilder()
                    .buildAsync(address("ws", path), this)
                    .join();
        }

        @Override
        public CompletionStage<?> onText(WebSocket webSocket, CharSequence data, boolean last) {
            part.append(data);
            if (last) {
                messages.add(Json.MAPPER.readTree(part.toString()));
                part.setLength(0);
            }
            webSocket.request(1);
            return null;
        }

        void say(String text) {
            socket.sendText(text, true).join();
        }

        JsonNode await(Predicate<JsonNode> wanted) {
            return Awaitility.await()
                    .atMost(LONG)
                    .until(() -> messages.stream().filter(wanted).findFirst(), Optional::isPresent)
                    .orElseThrow();
        }

        @Override
        public void close() {
            socket.abort();
        }
    }
}

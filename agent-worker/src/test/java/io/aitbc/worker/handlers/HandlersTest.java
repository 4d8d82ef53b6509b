package io.aitbc.worker.handlers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Calls the built-in handlers with task data. */
class HandlersTest {
    static final AssignmentContext CONTEXT = new AssignmentContext() {
        @Override
        public boolean isCancelled() {
            return false;
        }

        @Override
        public Instant deadline() {
            return now().plusSeconds(600);
        }

        @Override
        public Instant now() {
            return Instant.now();
        }

        @Override
        public void progress(JsonNode soFar) {}

        @Override
        public String traceparent() {
            return null;
        }
    };

    private static final String SHA_256_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    private final AtomicReference<String> received = new AtomicReference<>();

    @TempDir
    Path folder;

    private HttpServer server;
    private String url;

    @BeforeEach
    void serve() throws Exception {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            received.set(new String(exchange.getRequestBody().readAllBytes()));
            String path = exchange.getRequestURI().getPath();
            boolean broken = path.startsWith("/broken");
            if (path.startsWith("/limited")) {
                exchange.getResponseHeaders().add("Retry-After", "30");
            }
            byte[] body = (broken
                            ? "{\"error\":\"overloaded\"}"
                            : "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"Good day\"}}]}")
                    .getBytes();
            if (received.get().contains("\"stream\":true")) {
                stream(exchange);
                return;
            }
            exchange.getResponseHeaders().add("Content-Type", "application/json");
            int status = path.startsWith("/limited") ? 429 : path.startsWith("/invalid") ? 422 : broken ? 503 : 200;
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        url = "http://127.0.0.1:" + server.getAddress().getPort();
    }

    @AfterEach
    void end() {
        server.stop(0);
    }

    @Test
    void hashOfATextAndOfAFile() throws Exception {
        Files.writeString(folder.resolve("hello.txt"), "hello");
        assertThat(run(data("hash").put("text", "hello")).get("hash").asString())
                .isEqualTo(SHA_256_OF_HELLO);
        assertThat(run(data("hash").put("file", "hello.txt")).get("hash").asString())
                .isEqualTo(SHA_256_OF_HELLO);
    }

    @Test
    void noFileOutsideTheFolderIsRead() {
        assertThatThrownBy(() -> run(data("hash").put("file", "../../../../../../etc/hostname")))
                .hasMessageContaining("no file");
    }

    @Test
    void echoGivesTheTaskBack() throws Exception {
        assertThat(run(data("echo").put("x", 1)).get("x").asInt()).isEqualTo(1);
    }

    @Test
    void sleepEndsAfterItsTime() throws Exception {
        assertThat(run(data("sleep").put("seconds", 0.01)).get("slept_seconds").asDouble())
                .isEqualTo(0.01);
    }

    @Test
    void sleepKnowsItsBounds() {
        assertThatThrownBy(() -> run(data("sleep").put("seconds", -1)))
                .hasMessage("task_data.seconds must be a number from 0 to 86400");
        assertThatThrownBy(() -> run(data("sleep").put("seconds", "long")))
                .hasMessage("task_data.seconds must be a number from 0 to 86400");
    }

    @Test
    void sleepEndsWhenItIsInterrupted() {
        Thread.currentThread().interrupt();
        assertThatThrownBy(() -> run(data("sleep").put("seconds", 86_400))).isInstanceOf(InterruptedException.class);
    }

    @Test
    void httpNamesTheUrlThatCannotBeReached() {
        String closed = url.replaceFirst(":\\d+$", ":1");
        assertThatThrownBy(() -> run(data("http").put("url", closed + "/page")))
                .hasMessage("cannot connect to " + closed + "/page");
    }

    @Test
    void httpCallsAUrl() throws Exception {
        assertThat(run(data("http").put("url", url + "/page")).toString()).contains("200", "Good day");
    }

    /** Deadlines follow the coordinator's clock. By the local clock, this one passed two days ago. */
    @Test
    void aCallMayTakeAsLongAsItsTaskWhateverTheClockSays() {
        Assignment assignment = Assignment.of(
                Task.of("t", data("http"), Requirements.NONE).accepted("t", Instant.now()),
                Priority.NORMAL,
                "agent",
                Instant.now().minus(Duration.ofDays(2)));
        assertThat(HttpCall.timeAllowed(assignment)).isEqualTo(Duration.ofSeconds(Task.DEFAULT_TIMEOUT_SECONDS));
    }

    @Test
    void chatAsksTheEndpointAndGivesItsAnswer() throws Exception {
        ObjectNode chat = data("chat").put("model", "small").put("prompt", "Hello?");
        chat.putObject("parameters").put("temperature", 0.5);
        assertThat(run(chat).toString()).contains("Good day");
        JsonNode request = Json.MAPPER.readTree(received.get());
        assertThat(request.get("model").asString()).isEqualTo("small");
        assertThat(request.at("/messages/0/content").asString()).isEqualTo("Hello?");
        assertThat(request.get("temperature").asDouble()).isEqualTo(0.5);
    }

    private static void stream(HttpExchange exchange) throws IOException {
        exchange.getResponseHeaders().add("Content-Type", "text/event-stream");
        exchange.sendResponseHeaders(200, 0);
        for (String event : List.of(
                "{\"model\":\"small\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Good\"}}]}",
                "{\"choices\":[{\"delta\":{\"content\":\" day\"}}]}",
                "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\","
                        + "\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"at\\\":\"}}]}}]}",
                "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"Graz\\\"}\"}}]}}]}",
                "{\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}",
                "{\"choices\":[],\"usage\":{\"total_tokens\":9}}",
                "[DONE]")) {
            exchange.getResponseBody().write(("data: " + event + "\n\n").getBytes());
        }
        exchange.close();
    }

    @Test
    void aStreamedAnswerHasTheResultOfOneThatIsNot() throws Exception {
        ObjectNode chat =
                data("chat").put("model", "small").put("prompt", "Hello?").put("stream", true);

        assertThat(run(chat)).isEqualTo(Json.MAPPER.readTree("""
                {"content":"Good day","finish_reason":"tool_calls","model":"small","usage":{"total_tokens":9},
                 "tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\\"at\\":\\"Graz\\"}"}}]}
                """));
    }

    @Test
    void chatPassesMessagesToolsAndFormatOn() throws Exception {
        ObjectNode chat = (ObjectNode) Json.MAPPER.readTree("""
                {"task_type":"chat","model":"small","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function"}],
                 "tool_choice":"auto","response_format":{"type":"json_object"}}
                """);
        run(chat);
        ObjectNode sent = (ObjectNode) Json.MAPPER.readTree(received.get());
        chat.remove("task_type");
        assertThat(sent).isEqualTo(chat);
    }

    /** The example of the AITBC architecture has no type. */
    @Test
    void aModelAndAPromptAreAChat() throws Exception {
        ObjectNode data =
                Json.object().put("model", "small").put("prompt", "Hello?").put("system", "Be brief.");
        assertThat(run(data).toString()).contains("Good day");
        JsonNode request = Json.MAPPER.readTree(received.get());
        assertThat(request.at("/messages/0/role").asString()).isEqualTo("system");
        assertThat(request.at("/messages/0/content").asString()).isEqualTo("Be brief.");
        assertThat(request.at("/messages/1/content").asString()).isEqualTo("Hello?");
    }

    /** Another worker may read files. */
    @Test
    void aWorkerWithoutFilesRejectsAFileTask() {
        assertThatThrownBy(() -> new Hash(null).handle(assignment(data("hash").put("file", "hello.txt")), CONTEXT))
                .isInstanceOf(Handler.RejectedException.class);
    }

    @Test
    void anEndpointThatFailsIsTheError() {
        ObjectNode chat = data("chat").put("model", "small").put("prompt", "Hello?");
        assertThatThrownBy(() -> run(chat, url + "/broken")).hasMessageContaining("503");
    }

    @ParameterizedTest
    @ValueSource(strings = {"chat", "http"})
    void aRateLimitDelaysTheNextAttempt(String type) {
        ObjectNode data =
                data(type).put("model", "small").put("prompt", "Hello?").put("url", url + "/limited");
        assertThatThrownBy(() -> run(data, url + "/limited"))
                .isInstanceOfSatisfying(
                        Handler.RetryLaterException.class,
                        e -> assertThat(e.delay()).isEqualTo(Duration.ofSeconds(30)))
                .hasMessageContaining("429");
    }

    @Test
    void anInvalidPromptIsNotRetried() {
        ObjectNode chat = data("chat").put("model", "small").put("prompt", "Hello?");
        assertThatThrownBy(() -> run(chat, url + "/invalid"))
                .isInstanceOf(Handler.PermanentFailureException.class)
                .hasMessageContaining("422");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            30                            | ''                            | 30
            0                             | ''                            | 0
            Wed, 21 Oct 2026 07:29:00 GMT | Wed, 21 Oct 2026 07:28:00 GMT | 60
            Wed, 21 Oct 2026 07:27:00 GMT | Wed, 21 Oct 2026 07:28:00 GMT | 0
            Wed, 21 Oct 2026 07:29:00 GMT | ''                            | 0
            soon                          | ''                            | 0
            -5                            | ''                            | 0
            ''                            | ''                            | 0
            """)
    void retryAfterIsADelayOrADate(String retryAfter, String date, long seconds) {
        assertThat(RetryAfter.delay(retryAfter, date)).isEqualTo(Duration.ofSeconds(seconds));
    }

    @Test
    void anUnknownTypeOfTaskIsRefusedWithASentence() {
        assertThatThrownBy(() -> run(data("dance")))
                .isInstanceOf(Handler.RejectedException.class)
                .hasMessageContaining("dance");
    }

    private static ObjectNode data(String type) {
        return Json.object().put("task_type", type);
    }

    private JsonNode run(ObjectNode data) throws Exception {
        return run(data, url + "/v1");
    }

    private static Assignment assignment(ObjectNode data) {
        return Assignment.of(
                Task.of("t", data, Requirements.NONE).accepted("t", Instant.now()),
                Priority.NORMAL,
                "agent",
                Instant.now());
    }

    private JsonNode run(ObjectNode data, String chatUrl) throws Exception {
        Assignment assignment = assignment(data);
        return new TaskTypes(TaskTypes.builtIn(folder, chatUrl, null, true)).handle(assignment, CONTEXT);
    }
}

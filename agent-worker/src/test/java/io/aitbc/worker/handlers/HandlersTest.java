package io.aitbc.worker.handlers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Calls the built-in handlers with task data. */
class HandlersTest {
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
            boolean broken = exchange.getRequestURI().getPath().startsWith("/broken");
            byte[] body = (broken
                            ? "{\"error\":\"overloaded\"}"
                            : "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"Good day\"}}]}")
                    .getBytes();
            exchange.getResponseHeaders().add("Content-Type", "application/json");
            exchange.sendResponseHeaders(broken ? 503 : 200, body.length);
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

    @Test
    void anEndpointThatFailsIsTheError() {
        ObjectNode chat = data("chat").put("model", "small").put("prompt", "Hello?");
        assertThatThrownBy(() -> run(chat, url + "/broken")).hasMessageContaining("503");
    }

    @Test
    void anUnknownTypeOfTaskIsRefusedWithASentence() {
        assertThatThrownBy(() -> run(data("dance"))).hasMessageContaining("dance");
    }

    private static ObjectNode data(String type) {
        return Json.object().put("task_type", type);
    }

    private JsonNode run(ObjectNode data) throws Exception {
        return run(data, url + "/v1");
    }

    private JsonNode run(ObjectNode data, String chatUrl) throws Exception {
        Assignment assignment = Assignment.of(
                Task.of("t", data, Requirements.NONE).accepted("t", Instant.now()),
                Priority.NORMAL,
                "agent",
                Instant.now());
        return new TaskTypes(TaskTypes.builtIn(folder, chatUrl, null)).handle(assignment, soFar -> {});
    }
}

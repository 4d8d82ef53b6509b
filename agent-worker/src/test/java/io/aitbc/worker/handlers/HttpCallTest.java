package io.aitbc.worker.handlers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.worker.Handler;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.apache.hc.client5.http.SystemDefaultDnsResolver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What the URL of a task may lead to. */
class HttpCallTest {
    private static final HttpCall OPEN = new HttpCall(true);
    private static final HttpCall GUARDED = new HttpCall(false);

    private final List<String> requests = new CopyOnWriteArrayList<>();
    private HttpServer server;
    private int port;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress("::", 0), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", this::answer);
        server.start();
        port = server.getAddress().getPort();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            requests.add(exchange.getRequestMethod() + " " + exchange.getRequestURI() + " "
                    + exchange.getRequestHeaders().getFirst("Host") + " "
                    + new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            boolean redirects = exchange.getRequestURI().getPath().equals("/redirect");
            if (redirects) {
                exchange.getResponseHeaders().set("Location", "http://127.0.0.1:" + port + "/inside");
            }
            byte[] body = (exchange.getRequestURI().getPath().equals("/large") ? "x".repeat(1_000_000) : "hello")
                    .getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(redirects ? 302 : 200, body.length);
            exchange.getResponseBody().write(body);
        }
    }

    private static JsonNode run(HttpCall handler, ObjectNode data) throws Exception {
        return handler.handle(
                Assignment.of(
                        Task.of("t", data, Requirements.NONE).accepted("t", Instant.now()),
                        Priority.NORMAL,
                        "agent",
                        Instant.now()),
                HandlersTest.CONTEXT);
    }

    private static ObjectNode url(String url) {
        return Json.object().put("task_type", "http").put("url", url);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "127.0.0.1",
                "localhost",
                "LOCALHOST",
                "127.0.0.1.",
                "127.1",
                "0x7f.0.0.1",
                "2130706433",
                "0.0.0.0",
                "0",
                "[::1]",
                "[::]",
                "[::127.0.0.1]",
                "[::ffff:127.0.0.1]",
                "[::ffff:7f00:1]",
                "[64:ff9b::7f00:1]",
                "[2002:7f00:1::]",
                "[fe80::1]",
                "[fd00::1]",
                "10.0.0.1",
                "100.64.0.1",
                "169.254.169.254",
                "192.168.0.1",
                "user@127.0.0.1",
                "example.com@127.0.0.1",
                "127.0.0.1%2f",
                "127.0.0.1#@example.com"
            })
    void aPrivateAddressIsNotCalled(String host) {
        assertThatThrownBy(() -> run(GUARDED, url("http://" + host + ":" + port + "/")))
                .isInstanceOf(Handler.PermanentFailureException.class)
                .message()
                .containsAnyOf("has a private address, and this worker calls public ones only", "without a user");
        assertThat(requests).isEmpty();
    }

    /** To Java, it is a name. */
    @Test
    void aHexadecimalAddressIsNotCalled() {
        assertThatThrownBy(() -> run(GUARDED, url("http://0x7f000001:" + port + "/")))
                .hasMessageStartingWith("cannot connect to");
        assertThat(requests).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"ftp://example.com", "file:///etc/passwd", "jar:http://a!/b", "http:/x", "//x", "", "http://[::1"
            })
    void onlyHttpIsCalled(String url) {
        assertThatThrownBy(() -> run(OPEN, url(url)))
                .isInstanceOf(Handler.PermanentFailureException.class)
                .hasMessage("task_data.url must be an http or https URL without a user");
    }

    @Test
    void aRedirectIsTheResultAndNotFollowed() throws Exception {
        JsonNode result = run(OPEN, url("http://127.0.0.1:" + port + "/redirect"));
        assertThat(result.get("status_code").asInt()).isEqualTo(302);
        assertThat(requests).singleElement().asString().startsWith("GET /redirect");
    }

    /** Looked up again, the name could have another address. */
    @Test
    void theAddressThatIsCheckedIsTheOneThatIsCalled() throws Exception {
        List<String> lookups = new CopyOnWriteArrayList<>();
        SystemDefaultDnsResolver names = new SystemDefaultDnsResolver() {
            @Override
            public InetAddress[] resolve(String host) throws UnknownHostException {
                lookups.add(host);
                return lookups.size() == 1
                        ? new InetAddress[] {InetAddress.getByName("127.0.0.1")}
                        : new InetAddress[] {InetAddress.getByName("192.0.2.1")};
            }
        };
        assertThat(run(new HttpCall(true, names), url("http://rebound.example:" + port + "/"))
                        .get("body")
                        .asString())
                .isEqualTo("hello");
        assertThat(lookups).hasSize(1);
        assertThat(requests).singleElement().asString().contains("rebound.example:" + port);
    }

    /** Which of its addresses is called depends on which of them responds. */
    @Test
    void aNameWithAPublicAndAPrivateAddressIsNotCalled() {
        SystemDefaultDnsResolver names = new SystemDefaultDnsResolver() {
            @Override
            public InetAddress[] resolve(String host) throws UnknownHostException {
                return new InetAddress[] {InetAddress.getByName("1.1.1.1"), InetAddress.getByName("127.0.0.1")};
            }
        };
        assertThatThrownBy(() -> run(new HttpCall(false, names), url("http://mixed.example:" + port + "/")))
                .isInstanceOf(Handler.PermanentFailureException.class)
                .hasMessageContaining("mixed.example has a private address");
    }

    @Test
    void methodHeadersAndBodyAreSent() throws Exception {
        ObjectNode data = url("http://localhost:" + port + "/a?b=c").put("method", "PUT");
        data.putObject("body").put("x", 1);
        data.putObject("headers").put("X-A", "1");
        assertThat(run(OPEN, data).get("status_code").asInt()).isEqualTo(200);
        assertThat(requests).containsExactly("PUT /a?b=c localhost:" + port + " {\"x\":1}");
    }

    @ParameterizedTest
    @CsvSource({"Host, a", "content-length, 5", "Transfer-Encoding, chunked", "Connection, Upgrade"})
    void headersOfTheConnectionAreRefused(String name, String value) {
        ObjectNode data = url("http://localhost:" + port);
        data.putObject("headers").put(name, value);
        assertThatThrownBy(() -> run(OPEN, data)).hasMessage("task_data.headers must not contain " + name);
    }

    @Test
    void aHeaderCannotHideAnother() throws Exception {
        ObjectNode data = url("http://localhost:" + port);
        data.putObject("headers").put("X-A", "1\r\nX-B: 2\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n");
        try {
            run(OPEN, data);
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("could not be called");
        }
        assertThat(requests).noneMatch(request -> request.contains("hidden"));
    }

    @Test
    void ofALargeBodyTheBeginningIsKept() throws Exception {
        JsonNode result = run(OPEN, url("http://localhost:" + port + "/large"));
        assertThat(result.get("body").asString()).hasSize(65_536);
        assertThat(result.get("truncated").asBoolean()).isTrue();
    }

    @Test
    void aCancelledCallEnds() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            FutureTask<JsonNode> call =
                    new FutureTask<>(() -> run(OPEN, url("http://127.0.0.1:" + silent.getLocalPort())));
            Thread thread = new Thread(call);
            thread.start();
            silent.accept().close();
            // The client tries again only if it may: this server has accepted one connection and closed it.
            assertThatThrownBy(() -> call.get(20, TimeUnit.SECONDS)).hasMessageContaining("could not be called");

            FutureTask<JsonNode> other =
                    new FutureTask<>(() -> run(OPEN, url("http://127.0.0.1:" + silent.getLocalPort())));
            Thread waiting = new Thread(other);
            waiting.start();
            silent.accept();
            waiting.interrupt();
            await().until(() -> !waiting.isAlive());
            assertThatThrownBy(other::get).hasCauseInstanceOf(InterruptedException.class);
        }
    }
}

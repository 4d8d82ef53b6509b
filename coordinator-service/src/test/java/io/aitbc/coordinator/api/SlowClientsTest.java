package io.aitbc.coordinator.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Clients that do not send what they announced, do not read the response, or send too much, must not delay others. */
class SlowClientsTest {
    private static final int CLIENTS = 500;
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static RunningCoordinator coordinator;
    private static RunningCoordinator secured;

    private final List<Socket> sockets = new ArrayList<>();

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "slow.", 5);
        secured = RunningCoordinator.start(
                LocalStack.shared(),
                "slow.",
                5,
                "--aitbc.security=on",
                "--aitbc.admin.key=admin-key-for-tests-of-32-characters-or-more");
    }

    @AfterAll
    static void end() {
        secured.close();
        coordinator.close();
    }

    @AfterEach
    void closeAll() throws IOException {
        for (Socket socket : sockets) {
            socket.close();
        }
    }

    @Test
    void anIncompleteBodyOccupiesNoThreadAndTimesOut() throws Exception {
        for (int i = 0; i < CLIENTS; i++) {
            say("POST /tasks/submit HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                    + (i % 2 == 0 ? "Content-Length: 1000\r\n\r\n{" : "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a"));
        }
        assertAnswersAtOnce();
        for (Socket socket : sockets) {
            socket.setSoTimeout(30_000);
            assertThat(firstLine(socket)).contains(" 408 ");
        }
        assertAnswersAtOnce();
    }

    /** It is refused before its body is awaited, which then need not arrive. */
    @Test
    void anIncompleteBodyThatIsRefusedOccupiesNoThread() throws Exception {
        for (int i = 0; i < CLIENTS; i++) {
            say(
                    secured,
                    "POST /tasks/submit HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                            + (i % 2 == 0
                                    ? "Content-Length: 1000\r\n\r\n{"
                                    : "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a"));
        }
        assertAnswersAtOnce(secured);
        for (Socket socket : sockets) {
            socket.setSoTimeout(30_000);
            assertThat(firstLine(socket)).contains(" 401 ");
        }
    }

    /** The response is complete, and the connection kept, although the body arrives after it. */
    @Test
    void aBodyMayArriveAfterItsRefusal() throws Exception {
        for (int i = 0; i < 200; i++) {
            Socket socket = say(secured, "POST /tasks/submit HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
            socket.getOutputStream().write('{');
            socket.getOutputStream()
                    .write("}GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.UTF_8));
            String said = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(said)
                    .startsWith("HTTP/1.1 401")
                    .contains("\r\n0\r\n\r\nHTTP/1.1 ")
                    .endsWith("\r\n0\r\n\r\n");
        }
    }

    @Test
    void aRefusedRequestMayBeFollowedByAnother() throws Exception {
        Socket socket = say(
                secured,
                "POST /tasks/submit HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
                        + "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        String said = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(said).startsWith("HTTP/1.1 401").contains("HTTP/1.1 200");
    }

    @Test
    void anIncompleteHeaderOccupiesNoThread() throws Exception {
        for (int i = 0; i < CLIENTS; i++) {
            say("GET /health HTTP/1.1\r\nHost:");
        }
        assertAnswersAtOnce();
    }

    /** Each sends or reads too little to complete its request, and just enough not to seem silent. */
    @Test
    void slowClientsAreDisconnectedInTime() throws Exception {
        Socket header = say("GET /health HTTP/1.1\r\nX-Slow: ");
        Socket secondRequest = say("GET /roles HTTP/1.1\r\nHost: a\r\n\r\n");
        assertThat(firstLine(secondRequest)).contains(" 200 ");
        secondRequest.getOutputStream().write("GET /".getBytes(StandardCharsets.UTF_8));
        Socket requestLine = say("GET /");
        Socket reader = say("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200));
        List<Socket> connected = new ArrayList<>(List.of(header, secondRequest, requestLine, reader));
        await().pollInterval(Duration.ofMillis(500))
                .atMost(Duration.ofSeconds(60))
                .until(() -> {
                    connected.removeIf(socket -> !takes(socket, 'x'));
                    return connected.isEmpty();
                });
    }

    /** Whether a byte can be sent: not once the other side has closed the connection. */
    private static boolean takes(Socket socket, int octet) {
        try {
            socket.getOutputStream().write(octet);
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    @Test
    void aBodySentInPartsIsAccepted() throws Exception {
        String body = "{\"task_data\":{},\"task_id\":\"in-parts\"}";
        Socket socket =
                say("POST /tasks/submit HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
                        + body.length() + "\r\n\r\n" + body.substring(0, 7));
        assertAnswersAtOnce();
        socket.getOutputStream().write(body.substring(7).getBytes(StandardCharsets.UTF_8));
        assertThat(firstLine(socket)).contains(" 200 ");
        assertThat(coordinator.get("/tasks/in-parts").code()).isEqualTo(200);
    }

    /** Each is refused before a handler sees it, and the next client is served. */
    @ParameterizedTest
    @ValueSource(strings = {"long header", "many headers", "long URL", "many parameters", "long cookie"})
    void anExcessiveRequestIsRefused(String what) throws Exception {
        String request = switch (what) {
            case "long header" -> "GET /health HTTP/1.1\r\nHost: a\r\nX-A: " + "x".repeat(9_000) + "\r\n\r\n";
            case "many headers" -> "GET /health HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n".repeat(101) + "\r\n";
            case "long URL" -> "GET /" + "x".repeat(9_000) + " HTTP/1.1\r\nHost: a\r\n\r\n";
            case "many parameters" -> "GET /tasks/dead-letter?" + "a=&".repeat(1_500) + " HTTP/1.1\r\nHost: a\r\n\r\n";
            default -> "GET /health HTTP/1.1\r\nHost: a\r\nCookie: " + "a=b;".repeat(3_000) + "\r\n\r\n";
        };
        assertThat(firstLine(say(request))).contains(" 400 ");
        assertAnswersAtOnce();
    }

    /** A parser that recurses would run out of stack. */
    @Test
    void deeplyNestedJsonIsRefused() {
        String nested = "{\"task_data\":{\"a\":" + "[".repeat(10_000) + "]".repeat(10_000) + "}}";
        for (String path : List.of("/tasks/submit", "/agents/register", "/auth/login")) {
            RunningCoordinator.Answer answer = coordinator.post(path, nested);
            assertThat(answer.code()).as(path).isEqualTo(422);
            assertThat(answer.detail()).contains("nested deeper than 200 levels");
        }
        assertThat(coordinator.post("/tasks/submit/batch", nested).body().toString())
                .contains("nested deeper than 200 levels");
        List<String> topics = List.of("tasks.low", "tasks.results", "agents.heartbeat");
        topics.forEach(topic -> coordinator.publish(topic, "nested", nested.replace("task_data", "result")));
        await().atMost(Duration.ofSeconds(60))
                .untilAsserted(() -> assertThat(
                                coordinator.get("/tasks/dead-letter").body().get("dead_letters"))
                        .filteredOn(letter -> letter.path("reason").asString().equals("malformed"))
                        .extracting(
                                letter -> letter.get("source_topic").asString().replaceFirst("slow\\.", ""))
                        .containsAll(topics));
    }

    @Test
    void eventListenersThatNeverReadAreDisconnected() throws Exception {
        for (int i = 0; i < 200; i++) {
            say("GET /events?topics=queues,stats,history,agents HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        // Each has its connection slot before it stops reading.
        for (Socket socket : sockets) {
            assertThat(firstLine(socket)).contains(" 200 ");
        }
        assertThat(coordinator.get("/events?topics=queues").code()).isEqualTo(503);
        await().atMost(Duration.ofSeconds(90)).untilAsserted(() -> {
            HttpResponse<InputStream> events = HTTP.send(
                    HttpRequest.newBuilder(
                                    URI.create("http://127.0.0.1:" + coordinator.port() + "/events?topics=queues"))
                            .build(),
                    HttpResponse.BodyHandlers.ofInputStream());
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(events.body(), StandardCharsets.UTF_8))) {
                assertThat(events.statusCode()).isEqualTo(200);
                assertThat(lines.readLine()).startsWith("data:");
            }
        });
        assertAnswersAtOnce();
    }

    private Socket say(String text) throws IOException {
        return say(coordinator, text);
    }

    private Socket say(RunningCoordinator to, String text) throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), to.port());
        sockets.add(socket);
        socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
        return socket;
    }

    private static String firstLine(Socket socket) throws IOException {
        return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8)).readLine();
    }

    private static void assertAnswersAtOnce() {
        assertAnswersAtOnce(coordinator);
    }

    private static void assertAnswersAtOnce(RunningCoordinator coordinator) {
        long start = System.nanoTime();
        // On a busy machine, Kafka may be slower than the health check allows.
        assertThat(coordinator.get("/health").code()).isIn(200, 503);
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(5));
    }
}

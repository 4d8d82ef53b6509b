package io.aitbc.agentctl.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** It answers and pushes as a coordinator does. */
class HttpDeskTest {
    private final Journal journal = new Journal("mine");
    private final HttpClient client = HttpClient.newHttpClient();
    private final ObjectNode assignment = assignment();
    private HttpDesk desk;

    @BeforeEach
    void start() throws Exception {
        desk = new HttpDesk(0, journal);
        register(Json.object().put("delivery", "pull"));
        desk.give(assignment);
    }

    @AfterEach
    void close() {
        desk.close();
    }

    private static ObjectNode assignment() {
        Instant now = Instant.now();
        Task task = Task.of("t", Json.object().put("task_type", "sleep"), Requirements.NONE);
        return (ObjectNode) Json.tree(Assignment.of(task.accepted("t", now), Priority.URGENT, "mine", now));
    }

    private void register(ObjectNode registration) throws Exception {
        post("/agents/register", registration.put("agent_id", "mine").put("agent_type", "worker"));
    }

    private HttpResponse<String> post(String path, JsonNode body) throws Exception {
        return post(path, "application/json", body);
    }

    private HttpResponse<String> post(String path, String type, JsonNode body) throws Exception {
        return send("POST", path, type, body.toString());
    }

    private HttpResponse<String> send(String method, String path, String type, String body) throws Exception {
        return client.send(
                HttpRequest.newBuilder(URI.create(desk.url() + path))
                        .header("Content-Type", type)
                        .method(method, HttpRequest.BodyPublishers.ofString(body))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    private int status(String method, String path, String body) throws Exception {
        return send(method, path, "application/json", body).statusCode();
    }

    private List<String> claim(String instance, List<String> received) throws Exception {
        return StreamSupport.stream(
                        answer(instance, received).get("assignments").spliterator(), false)
                .map(one -> one.get("assignment_id").asString())
                .toList();
    }

    private String cancelled(String instance) throws Exception {
        return answer(instance, List.of()).get("cancelled").toString();
    }

    private JsonNode answer(String instance, List<String> received) throws Exception {
        ObjectNode claim = Json.object().put("instance_id", instance).put("wait_seconds", 0);
        claim.set("received", Json.tree(received));
        return Json.MAPPER.readTree(
                post("/agents/mine/assignments/claim", claim).body());
    }

    private HttpResponse<String> report(String body) throws Exception {
        return post("/tasks/t/results", Json.MAPPER.readTree(body));
    }

    @Test
    void whatIsNotConfirmedIsServedAgainToItsInstanceAtOnce() throws Exception {
        assertThat(claim("a", List.of())).containsExactly("t:1");
        assertThat(claim("a", List.of())).containsExactly("t:1");
        assertThat(claim("b", List.of())).isEmpty();
        assertThat(claim("a", List.of("t:1"))).isEmpty();
        assertThat(claim("a", List.of())).isEmpty();
    }

    @Test
    void aCancellationIsNamedToTheInstanceThatHasTheAssignment() throws Exception {
        assertThat(claim("a", List.of())).containsExactly("t:1");
        desk.cancel((ObjectNode) Json.tree(Cancellation.of("t", 1, "mine", Instant.now())));

        assertThat(cancelled("b")).isEqualTo("[]");
        assertThat(cancelled("a")).isEqualTo("[\"t:1\"]");
        // An answer may get lost.
        assertThat(cancelled("a")).isEqualTo("[\"t:1\"]");
        assertThat(cancelled("b")).isEqualTo("[]");
    }

    @Test
    void aCancellationOfWhatWasNotServedIsNotNamed() throws Exception {
        desk.cancel((ObjectNode) Json.tree(Cancellation.of("t", 1, "mine", Instant.now())));

        assertThat(cancelled("a")).isEqualTo("[]");
        assertThat(claim("a", List.of())).isEmpty();
    }

    @Test
    void aReportConfirmsAndMayBeRepeated() throws Exception {
        String completed = "{\"attempt\":1,\"agent_id\":\"mine\",\"status\":\"completed\"}";

        assertThat(report(completed).statusCode()).isEqualTo(202);
        assertThat(claim("a", List.of())).isEmpty();
        assertThat(report(completed).statusCode()).isEqualTo(202);
        assertThat(report(completed.replace("completed", "failed")).statusCode())
                .isEqualTo(409);
        assertThat(journal.violation()).isNull();

        // As an answer that was on its way when the report arrived.
        desk.give(assignment);
        assertThat(claim("a", List.of())).containsExactly("t:1");
        assertThat(claim("a", List.of())).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{'attempt':1,'status':'completed'}                                     | 422 | agent_id is required",
                "{'agent_id':'mine','status':'completed'}                               | 422 | attempt is required",
                "{'attempt':1,'agent_id':'mine'}                                        | 422 | status is required",
                "{'attempt':1,'agent_id':'mine','status':'completed','task_id':'other'} | 422 | task_id must equal the one in the path",
                "{'attempt':1,'agent_id':'other','status':'completed'}                  | 409 | attempt 1 is not live at agent other: its task has ended, or was requeued",
                "{'attempt':2,'agent_id':'mine','status':'completed'}                   | 409 | attempt 2 is not live at agent mine: its task has ended, or was requeued",
            })
    void aWrongReportIsRefused(String body, int status, String detail) throws Exception {
        HttpResponse<String> response = report(body.replace('\'', '"'));

        assertThat(response.statusCode()).isEqualTo(status);
        assertThat(response.headers().firstValue("Content-Type")).contains("application/problem+json");
        JsonNode problem = Json.MAPPER.readTree(response.body());
        assertThat(problem.get("status").asInt()).isEqualTo(status);
        assertThat(problem.get("detail").asString()).isEqualTo(detail);
        assertThat(journal.violation())
                .isEqualTo("coordinators answer its POST /tasks/t/results with " + status + ": " + detail);
        assertThat(journal.ends("t")).isEmpty();
    }

    @Test
    void aBodyThatIsNotSentAsJsonIsRefused() throws Exception {
        assertThat(post("/agents/register", "application/x-www-form-urlencoded", Json.object())
                        .statusCode())
                .isEqualTo(415);
        assertThat(journal.violation()).contains("with 415: the body must be JSON");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "POST   | /agents/wrong/path/heartbeets | 404 | no resource at /agents/wrong/path/heartbeets",
                "POST   | /no/such/thing                | 404 | no resource at /no/such/thing",
                "DELETE | /v2/agents/mine               | 404 | no resource at /v2/agents/mine",
                "POST   | /agents/other/heartbeat       | 404 | Agent not found",
                "POST   | /agents/mine/status           | 405 | Method 'POST' is not supported.",
            })
    void aRequestThatNoCoordinatorKnowsHasNoEffect(String method, String path, int status, String detail)
            throws Exception {
        HttpResponse<String> response = send(method, path, "application/json", "{\"status\": \"inactive\"}");

        assertThat(response.statusCode()).isEqualTo(status);
        assertThat(response.headers().firstValue("Content-Type")).contains("application/problem+json");
        assertThat(Json.MAPPER.readTree(response.body()).get("detail").asString())
                .isEqualTo(detail);
        assertThat(journal.isGone()).isFalse();
        assertThat(journal.violation()).isNull();
        assertThat(journal.misdirected())
                .isEqualTo("its " + method + " " + path + " was answered with " + status + ": " + detail);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "/v1"})
    void anAgentLeavesByItsStatusAndReturnsByAHeartbeat(String prefix) throws Exception {
        assertThat(status("PUT", prefix + "/agents/mine/status", "{\"status\": \"maintenance\"}"))
                .isEqualTo(200);
        assertThat(journal.isGone()).isFalse();
        assertThat(status("PUT", prefix + "/agents/mine/status", "{\"status\": \"inactive\"}"))
                .isEqualTo(200);
        assertThat(journal.isGone()).isTrue();
        assertThat(status("POST", prefix + "/agents/mine/heartbeat", "")).isEqualTo(200);
    }

    @Test
    void anAgentThatIsNotRegisteredIsUnknown() throws Exception {
        assertThat(status("GET", "/agents/mine", "")).isEqualTo(200);
        assertThat(status("DELETE", "/agents/mine", "")).isEqualTo(200);
        assertThat(journal.isGone()).isTrue();

        assertThat(status("GET", "/agents/mine", "")).isEqualTo(404);
        assertThat(status("POST", "/agents/mine/heartbeat", "{}")).isEqualTo(404);
        assertThat(status("POST", "/agents/mine/assignments/claim", "{}")).isEqualTo(404);
        assertThat(journal.violation()).isNull();

        register(Json.object().put("delivery", "pull"));
        assertThat(journal.isGone()).isFalse();
        assertThat(status("POST", "/agents/mine/heartbeat", "{}")).isEqualTo(200);
    }

    @Test
    void aRegistrationUnderAnotherIdDoesNotCount() throws Exception {
        assertThat(status("POST", "/agents/register", "{\"agent_id\": \"other\", \"agent_type\": \"worker\"}"))
                .isEqualTo(200);
        assertThat(journal.otherId()).isEqualTo("other");
        assertThat(journal.registration())
                .hasToString("{\"delivery\":\"pull\",\"agent_id\":\"mine\",\"agent_type\":\"worker\"}");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "PUT  | /agents/mine/status    | {}                      | status is required",
                "PUT  | /agents/mine/status    | {'status': 'asleep'}    | Invalid status: asleep",
                "POST | /agents/mine/heartbeat | {'load_metrics': 'high'} | load_metrics",
            })
    void aMalformedHeartbeatIsRefused(String method, String path, String body, String detail) throws Exception {
        assertThat(status(method, path, body.replace('\'', '"'))).isEqualTo(422);
        assertThat(journal.violation()).contains("its " + method + " " + path + " with 422: ", detail);
    }

    @Test
    void aPushIsTheMessageOfACoordinator() throws Exception {
        CompletableFuture<ObjectNode> pushed = new CompletableFuture<>();
        HttpServer agent = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        agent.createContext("/", exchange -> {
            try (exchange) {
                pushed.complete(Json.read(exchange.getRequestBody().readAllBytes(), ObjectNode.class));
                exchange.sendResponseHeaders(202, -1);
            }
        });
        agent.start();
        try {
            ObjectNode push = Json.object().put("delivery", "push");
            push.putObject("endpoints")
                    .put("http", "http://127.0.0.1:" + agent.getAddress().getPort());
            register(push);
            desk.give(assignment);

            ObjectNode message = pushed.get(10, TimeUnit.SECONDS);
            assertThat(message.path("sender_id").asString()).isEqualTo("agent-coordinator");
            assertThat(message.path("priority").asString()).isEqualTo("critical");
            assertThat(message.at("/payload/priority").asString()).isEqualTo("urgent");
            assertThat(message.at("/payload/task_type").asString()).isEqualTo("sleep");
        } finally {
            agent.stop(0);
        }
    }
}

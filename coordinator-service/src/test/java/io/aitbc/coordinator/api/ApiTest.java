package io.aitbc.coordinator.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpRequest;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The published REST interface, spoken to over HTTP: paths, fields and codes, good input and bad. */
class ApiTest {
    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "api.", 1);
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    /** Every example of the OpenAPI document is sent, and the answer has at least the fields of the example. */
    @Test
    void examplesAreTrue() {
        JsonNode examples = OpenApiConfiguration.examples();
        coordinator.register("worker-1", 4, "hash");
        String taskId = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        List<String> calls = new ArrayList<>(examples.propertyNames());
        calls.remove("problem");
        calls.remove("DELETE /agents/{agent_id}");
        calls.add("DELETE /agents/{agent_id}");
        for (String call : calls) {
            JsonNode example = examples.get(call);
            String method = call.substring(0, call.indexOf(' '));
            String path = call.substring(call.indexOf(' ') + 1)
                    .replace("{agent_id}", "worker-1")
                    .replace("{task_id}", taskId)
                    .replace("{priority}", "low");
            Answer answer =
                    coordinator.send(method, path, example.has("request") ? Json.text(example.get("request")) : null);
            assertThat(answer.code()).as("%s: %s", call, answer.body()).isEqualTo(200);
            if (!path.startsWith("/tasks/" + taskId)) {
                assertThat(missing("", example.get("response"), answer.body()))
                        .as("%s: %s", call, answer.body())
                        .isEmpty();
            }
            assertThat(coordinator
                            .send(
                                    method,
                                    "/v1" + (path.equals("/") ? "" : path),
                                    example.has("request") ? Json.text(example.get("request")) : null)
                            .code())
                    .as("%s under /v1", call)
                    .isEqualTo(200);
        }
    }

    private static List<String> missing(String path, JsonNode wanted, JsonNode found) {
        List<String> missing = new ArrayList<>();
        if (wanted.isObject()
                && !List.of(".query", ".stats.load_balancer_stats.agent_weights", ".agents.0", ".coordinators")
                        .contains(path)) {
            wanted.properties().forEach(field -> {
                String at = path + "." + field.getKey();
                if (!found.has(field.getKey())) {
                    if (!path.matches(
                            ".*(agent_weights|_counts|services|capabilities|metadata|endpoints|load_metrics)$")) {
                        missing.add(at);
                    }
                } else {
                    missing.addAll(missing(at, field.getValue(), found.get(field.getKey())));
                }
            });
        }
        return missing;
    }

    /** Some addresses the server refuses before the application sees them. */
    @ParameterizedTest
    @CsvSource({"/agents/a%2Fb", "/agents/a%00b", "/agents/..%2f..", "/tasks/%5c"})
    void anAddressThatTheServerRefusesIsAProblemToo(String path) {
        Answer answer = coordinator.get(path);
        assertThat(answer.code()).isEqualTo(400);
        assertThat(answer.detail()).contains("encoded slash");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            POST   | /agents/register              | {"agent_id":"a","agent_type":                     | 422 | not valid JSON
            POST   | /agents/register              | {"agent_type":"worker"}                           | 422 | agent_id is required
            POST   | /agents/register              | {"agent_id":"a"}                                  | 422 | agent_type is required
            POST   | /agents/register              | {"agent_id":"a/b","agent_type":"worker"}          | 422 | agent_id must be 1 to 200 characters
            POST   | /agents/register              | {"agent_id":"a","agent_type":5}                   | 422 | agent_type has the wrong type
            POST   | /agents/register              | {"agent_id":"a","agent_type":"w","capacity":0}    | 422 | capacity must be from 1
            POST   | /agents/register              | {"agent_id":"a","agent_type":"w","capabilities":"x"} | 422 | capabilities has the wrong type
            POST   | /agents/register              | []                                                | 422 | JSON object
            POST   | /agents/register              |                                                   | 422 | needs a JSON body
            POST   | /agents/discover              | {"status":"gone"}                                 | 422 | Invalid status: gone
            POST   | /agents/discover              | {"min_health_score":2}                            | 422 | min_health_score must be
            POST   | /agents/discover              | {"limit":"x"}                                     | 422 | limit has the wrong type
            POST   | /agents/discover              | {"capabilities":["gpu>=many"]}                    | 422 | "gpu>=many" in capabilities must be a name, >= and
            POST   | /agents/discover              | {"capabilities":[null]}                           | 422 | each of capabilities is required
            POST   | /agents/discover              | {"tags":[null]}                                   | 422 | each of services and tags is required
            GET    | /agents?capability=gpu%3E%3D99999999999 |                                         | 422 | in capabilities must be a name, >= and
            GET    | /agents/nobody/assignments    |                                                   | 404 | Agent not found
            GET    | /agents/known/assignments?limit=x |                                               | 422 | limit: a number is needed
            POST   | /agents/known/heartbeat       | {"instance_id":"a b"}                             | 422 | instance_id must be
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{"capabilities":["a>=b"]}} | 422 | "a>=b" in capabilities must be
            GET    | /agents/nobody                |                                                   | 404 | Agent not found
            GET    | /agents/no:body               |                                                   | 422 | agent_id must be
            PUT    | /agents/nobody/status         | {"status":"busy"}                                 | 404 | Agent not found
            PUT    | /agents/known/status          | {"status":"sleepy"}                               | 422 | Invalid status: sleepy
            PUT    | /agents/known/status          | {}                                                | 422 | status is required
            PUT    | /agents/known/status          | {"status":"busy","load_metrics":{"cpu_usage":-1}} | 422 | load_metrics.cpu_usage must be
            POST   | /agents/nobody/heartbeat      | {}                                                | 404 | Agent not found
            POST   | /agents/known/heartbeat       | {"load_metrics":[]}                               | 422 | load_metrics has the wrong type
            DELETE | /agents/nobody                |                                                   | 404 | Agent not found
            GET    | /agents?limit=x               |                                                   | 422 | limit: a number is needed
            GET    | /agents?limit=0               |                                                   | 422 | limit must be
            GET    | /agents?status=sleepy         |                                                   | 422 | Invalid status: sleepy
            POST   | /tasks/submit                 | {"task_data":{},"priority":"soon"}                | 400 | Invalid priority: soon
            POST   | /tasks/submit                 | {"priority":"high"}                               | 422 | task_data is required
            POST   | /tasks/submit                 | {"task_data":"x"}                                 | 422 | task_data has the wrong type
            POST   | /tasks/submit                 | {"task_data":{},"task_id":"a b"}                  | 422 | task_id must be
            POST   | /tasks/submit                 | {"task_data":{},"task_id":"queues"}               | 422 | task_id must not be
            POST   | /tasks/submit                 | {"task_data":{},"max_attempts":0}                 | 422 | max_attempts must be
            POST   | /tasks/submit                 | {"task_data":{},"not_before":"soon"}              | 422 | not_before has the wrong type
            GET    | /tasks/unknown                |                                                   | 404 | Task not found
            POST   | /tasks/queues/soon/clear      |                                                   | 400 | Invalid priority: soon
            PUT    | /load-balancer/strategy       | {"strategy":"best"}                               | 400 | Invalid strategy: best
            PUT    | /load-balancer/strategy       | {}                                                | 400 | strategy is required
            GET    | /agents?limit=%ff             |                                                   | 400 | percent-encoded
            GET    | /agents?status=%0Aodd         |                                                   | 422 | Invalid status: �odd
            POST   | //                            |                                                   | 404 | there is nothing at /
            PATCH  | /tasks/submit                 | {}                                                | 405 | not supported
            GET    | /nothing                      |                                                   | 404 | there is nothing at /nothing
            """)
    void badInputIsAnsweredWithASentence(String method, String path, String body, int code, String detail) {
        coordinator.register("known", 4);
        Answer answer = coordinator.send(method, path, body);
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(code);
        assertThat(answer.detail()).contains(detail).doesNotContain("\n", "Exception", "tools.jackson");
    }

    @ParameterizedTest
    @ValueSource(strings = {"application/x-www-form-urlencoded", "multipart/form-data", "text/*", "*/*"})
    void otherMediaTypesAreRefused(String type) {
        Answer answer = coordinator.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + coordinator.port() + "/tasks/submit"))
                        .POST(HttpRequest.BodyPublishers.ofString("task_data=1"))
                        .header("Content-Type", type));
        assertThat(answer.code()).isEqualTo(415);
        assertThat(answer.detail()).contains("application/json");
    }

    /** Whatever form the caller asks for, and whether or not the application has seen the request. */
    @ParameterizedTest
    @CsvSource({"POST, application/xml, 404", "POST, application/xml;q=x, 404", "TRACE, */*, 405"})
    void aProblemIsAlwaysAProblemDocument(String method, String accepted, int code) {
        Answer answer = coordinator.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + coordinator.port() + "/tasks/unknown/cancel"))
                        .method(method, HttpRequest.BodyPublishers.noBody())
                        .header("Accept", accepted));
        assertThat(answer.code()).isEqualTo(code);
        assertThat(answer.detail()).isNotEmpty();
    }

    @Test
    void aProblemQuotesNoMoreThanOneReads() {
        Answer answer =
                coordinator.post("/tasks/submit", "{\"task_data\":{},\"priority\":\"" + "x".repeat(100_000) + "\"}");
        assertThat(answer.code()).isEqualTo(400);
        assertThat(answer.detail()).startsWith("Invalid priority: xxx").hasSizeLessThan(1_000);
    }

    @Test
    void largeBodiesAreRefusedHoweverTheyAreSent() {
        byte[] body = ("{\"task_data\":{\"x\":\"" + "x".repeat(1_100_000) + "\"}}").getBytes();
        URI uri = URI.create("http://127.0.0.1:" + coordinator.port() + "/tasks/submit");
        for (HttpRequest.BodyPublisher publisher : List.of(
                HttpRequest.BodyPublishers.ofByteArray(body),
                HttpRequest.BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(body)))) {
            Answer answer = coordinator.send(
                    HttpRequest.newBuilder(uri).POST(publisher).header("Content-Type", "application/json"));
            assertThat(answer.code()).as("%s", answer.body()).isEqualTo(413);
            assertThat(answer.detail()).isEqualTo("the body has more than 1048576 bytes");
        }
    }

    /** Kafka gets each number as 1E+6. */
    @Test
    void aTaskThatIsTooLargeOnlyOnceItIsWrittenIsRefused() {
        Answer answer = coordinator.post("/tasks/submit", "{\"task_data\":{\"x\":[" + "1e6,".repeat(250_000) + "1]}}");
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(413);
        assertThat(answer.detail()).isEqualTo("the task is larger than its topic takes");
    }

    @Test
    void aTaskJustBelowTheLimitIsTaken() {
        String id = coordinator.submit("{\"task_data\":{\"x\":\"" + "x".repeat(1_040_000)
                + "\"},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        coordinator.awaitTask(id, "queued");
    }

    @Test
    void anAgentIsUpdatedInPlace() {
        coordinator.register("again", 4, "a");
        coordinator.post("/agents/again/heartbeat", "{\"load_metrics\":{\"cpu_usage\":40}}");
        JsonNode before = coordinator.get("/agents/again").body().get("agent");
        coordinator.register("again", 8, "b");
        JsonNode after = coordinator.get("/agents/again").body().get("agent");
        assertThat(after.get("capacity").asInt()).isEqualTo(8);
        assertThat(after.get("capabilities").get(0).asString()).isEqualTo("b");
        assertThat(after.get("load_metrics")).isEqualTo(before.get("load_metrics"));
        assertThat(after.get("registration_time")).isEqualTo(before.get("registration_time"));
    }

    @Test
    void twoNamesThatKafkaCannotTellApartAreRefusedClearly() {
        coordinator.register("dot.ted", 1);
        Answer answer = coordinator.post("/agents/register", "{\"agent_id\":\"dot_ted\",\"agent_type\":\"worker\"}");
        assertThat(answer.code()).isEqualTo(422);
        assertThat(answer.detail()).contains("dot_ted");
    }

    @Test
    void aSubmissionRepeatedIsAnsweredWithTheFirst() {
        String body = "{\"task_id\":\"once\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}";
        Answer first = coordinator.post("/tasks/submit", body);
        Answer second = coordinator.post("/tasks/submit", body.replace("{}", "{\"other\":1}"));
        assertThat(second.body().get("submitted_at")).isEqualTo(first.body().get("submitted_at"));
    }

    @Test
    void theOpenApiDocumentNamesEveryCallWithItsExample() {
        JsonNode document = coordinator.get("/openapi.json").body();
        assertThat(document.get("openapi").asString()).startsWith("3.1");
        OpenApiConfiguration.examples().propertyNames().stream()
                .filter(call -> !call.equals("problem"))
                .forEach(call -> {
                    String method = call.substring(0, call.indexOf(' ')).toLowerCase();
                    JsonNode operation = document.path("paths")
                            .path(call.substring(call.indexOf(' ') + 1))
                            .path(method);
                    assertThat(operation.at("/responses/200/content").properties())
                            .as("%s: %s", call, operation)
                            .isNotEmpty();
                    JsonNode response = operation
                            .at("/responses/200/content")
                            .properties()
                            .iterator()
                            .next()
                            .getValue();
                    assertThat(response.has("example")).as(call).isTrue();
                });
    }
}

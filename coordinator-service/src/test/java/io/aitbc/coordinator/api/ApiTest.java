package io.aitbc.coordinator.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Ids;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The published REST API over HTTP: paths, fields and status codes, for valid and invalid input. */
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

    /** Sends every example of the OpenAPI document; the response must have at least the fields of the example. */
    @Test
    void examplesMatchTheResponses() {
        JsonNode examples = OpenApiConfiguration.examples();
        coordinator.register("worker-1", 4, "hash");
        String taskId = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        List<String> calls = new ArrayList<>(examples.propertyNames());
        calls.remove("problem");
        calls.remove("DELETE /agents/{agent_id}");
        calls.add("DELETE /agents/{agent_id}");
        // No attempt of the task is live, and the agent does not pull.
        calls.remove("POST /tasks/{task_id}/results");
        calls.remove("POST /agents/{agent_id}/assignments/claim");
        for (String call : calls) {
            JsonNode example = examples.get(call);
            String method = call.substring(0, call.indexOf(' '));
            String path = call.substring(call.indexOf(' ') + 1)
                    .replace("{agent_id}", "worker-1")
                    .replace("{task_id}", taskId)
                    .replace("{priority}", "low")
                    .replace("{service}", "text")
                    .replace("{capability}", "hash");
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

    /** A task with such an id could not be queried. */
    @Test
    void noTaskIdCollidesWithAPath() {
        List<String> words = coordinator
                .get("/")
                .body()
                .get("endpoints")
                .valueStream()
                .map(endpoint -> endpoint.asString().replaceFirst(".* ", ""))
                .filter(path -> path.startsWith("/tasks/") && !path.startsWith("/tasks/{"))
                .map(path -> path.split("/")[2])
                .distinct()
                .toList();
        assertThat(words).isNotEmpty().isSubsetOf(Ids.RESERVED_IDS);
    }

    private static List<String> missing(String path, JsonNode wanted, JsonNode found) {
        List<String> missing = new ArrayList<>();
        if (wanted.isObject()
                && !List.of(".query", ".stats.load_balancer_stats.weights_by_agent", ".agents.0", ".coordinators")
                        .contains(path)) {
            wanted.properties().forEach(field -> {
                String at = path + "." + field.getKey();
                if (!found.has(field.getKey())) {
                    if (!path.matches(
                            ".*(weights_by_agent|_counts|services|capabilities|metadata|endpoints|load_metrics)$")) {
                        missing.add(at);
                    }
                } else {
                    missing.addAll(missing(at, field.getValue(), found.get(field.getKey())));
                }
            });
        }
        return missing;
    }

    /** Some paths are refused by the server before the application sees them. */
    @ParameterizedTest
    @CsvSource({"/agents/a%2Fb", "/agents/a%00b", "/agents/..%2f..", "/tasks/%5c"})
    void aPathRefusedByTheServerYieldsAProblemDocument(String path) {
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
            POST   | /agents/register              |                                                   | 422 | a JSON body is required
            POST   | /agents/discover?strict=true  | {"status":"gone"}                                 | 422 | Invalid status: gone
            POST   | /agents/discover?strict=true  | {"capabilites":["gpu"]}                           | 422 | unknown field capabilites
            POST   | /agents/register              | {"agent_id":"..","agent_type":"worker"}           | 422 | neither . nor ..
            POST   | /agents/register              | {"agent_id":"a","agent_id":"b","agent_type":"w"}  | 422 | "agent_id" appears twice
            POST   | /agents/register?strict=true  | {"agent_id":"a","agent_type":"w","capabilites":[]} | 422 | unknown field capabilites
            POST   | /agents/known/heartbeat       | {"sent_at":1700000000000}                         | 422 | sent_at has the wrong type or form (expected an ISO 8601 time, such as
            POST   | /agents/known/heartbeat?strict=true | {"load":{}}                                 | 422 | unknown field load
            PUT    | /agents/known/status?strict=true | {"status":"busy","why":"x"}                    | 422 | unknown field why
            POST   | /tasks/submit                 | {"task_data":{},"not_before":1700000000000}       | 422 | not_before has the wrong type or form (expected an ISO 8601 time, such as
            POST   | /tasks/submit                 | {"task_data":{},"expires_at":1e300}               | 422 | expires_at has the wrong type or form (expected an ISO 8601 time, such as
            POST   | /tasks/submit                 | {"task_data":{},"submitted_at":"1700000000"}      | 422 | submitted_at has the wrong type or form (expected an ISO 8601 time, such as
            POST   | /tasks/submit                 | {"task_data":{},"task_id":"."}                    | 422 | neither . nor ..
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{"agent_id":".."}} | 422 | neither . nor ..
            POST   | /tasks/submit                 | {"task_data":{"a":1e2147483648}} | 422 | a number is out of range
            POST   | /agents/register              | {"metadata":{"a":-1e-2147483649}} | 422 | a number is out of range
            POST   | /tasks/submit                 | {"task_data":{},"max_attempts":99999999999999999999} | 422 | max_attempts is a number out of range
            POST   | /tasks/submit                 | {"task_data":{"a":NaN}}                           | 422 | not valid JSON at line 1, column 22: Non-standard token 'NaN'
            POST   | /tasks/submit                 | {"task_data":{"a":1,"a":2}}                       | 422 | "a" appears twice at line 1, column
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{},"requirements":{}} | 422 | "requirements" appears twice
            POST   | /tasks/submit                 | {"task_data":{},"chain_id":"a","requirements":{"chain_id":"b"}} | 422 | chain_id must equal requirements.chain_id
            POST   | /tasks/submit?strict=true     | {"task_data":{},"requirments":{}}                 | 422 | unknown field requirments
            POST   | /tasks/submit?strict=true     | {"task_data":{},"requirements":{"capabilites":[],"os":1}} | 422 | unknown fields requirements.capabilites, requirements.os
            POST   | /tasks/submit?strict=x        | {"task_data":{}}                                  | 422 | strict
            POST   | /agents/discover              | {"min_health_score":2}                            | 422 | min_health_score must be
            POST   | /agents/discover              | {"limit":"x"}                                     | 422 | limit has the wrong type
            POST   | /agents/discover              | {"capabilities":["gpu>=many"]}                    | 422 | "gpu>=many" in capabilities must be a name, >= and
            POST   | /agents/discover              | {"capabilities":[null]}                           | 422 | capabilities must not contain a blank entry
            POST   | /agents/discover              | {"tags":[null]}                                   | 422 | services and tags must not contain null
            GET    | /agents?capability=gpu%3E%3D99999999999 |                                         | 422 | in capabilities must be a name, >= and
            GET    | /agents/nobody/assignments    |                                                   | 404 | Agent not found
            GET    | /agents/known/assignments?limit=x |                                               | 422 | limit: must be a number
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
            GET    | /agents?limit=x               |                                                   | 422 | limit: must be a number
            GET    | /agents?limit=0               |                                                   | 422 | limit must be
            GET    | /agents?status=sleepy         |                                                   | 422 | Invalid status: sleepy
            POST   | /tasks/submit                 | {"task_data":{},"priority":"soon"}                | 400 | Invalid priority: soon
            POST   | /tasks/submit                 | {"priority":"high"}                               | 422 | task_data is required
            POST   | /tasks/submit                 | {"task_data":"x"}                                 | 422 | task_data has the wrong type
            POST   | /tasks/submit                 | {"task_data":{},"task_id":"a b"}                  | 422 | task_id must be
            POST   | /tasks/submit                 | {"task_data":{},"task_id":"queues"}               | 422 | task_id must not be
            POST   | /tasks/submit                 | {"task_data":{},"max_attempts":0}                 | 422 | max_attempts must be
            POST   | /tasks/submit                 | {"task_data":{},"not_before":"soon"}              | 422 | not_before has the wrong type
            POST   | /tasks/submit                 | {"task_data":{},"labels":{"a b":"c"}}             | 422 | each name in labels must be 1 to 100 characters
            POST   | /tasks/submit                 | {"task_data":{},"labels":{"a":"b\\nc"}}           | 422 | labels.a must have at most 256 characters, none of them a control character
            POST   | /tasks/submit                 | {"task_data":{},"labels":{"a":null}}              | 422 | labels.a is required
            POST   | /tasks/submit                 | {"task_data":{},"labels":{"a":1}}                 | 422 | labels.a has the wrong type or form (expected a string)
            POST   | /tasks/submit                 | {"task_data":{},"labels":["a"]}                   | 422 | labels has the wrong type or form (expected an object)
            POST   | /tasks/submit                 | {"task_data":{},"fairness_weight":0}              | 422 | fairness_weight must be from 0.001 to 1000.0 but was 0.0
            POST   | /tasks/submit                 | {"task_data":{},"fairness_weight":1001}           | 422 | fairness_weight must be from 0.001 to 1000.0 but was 1001.0
            POST   | /tasks/submit                 | {"task_data":{},"fairness_weight":"a lot"}        | 422 | fairness_weight has the wrong type or form (expected a number)
            PUT    | /fairness/acme                | {"weight":0}                                      | 422 | weight must be a number from 0.001 to 1000
            PUT    | /fairness/acme                | {}                                                | 422 | weight must be a number from 0.001 to 1000
            PUT    | /fairness/acme                | {"weight":"x"}                                    | 422 | weight has the wrong type or form (expected a number)
            PUT    | /fairness/acme                | {"weight":1,"until":"x"}                          | 422 | unknown field until
            PUT    | /fairness/x;y                 | {"weight":1}                                      | 422 | this key cannot be named in a path
            DELETE | /fairness/50%25               |                                                   | 422 | this key cannot be named in a path
            GET    | /demand?capabilty=gpu         |                                                   | 422 | unknown parameter capabilty
            DELETE | /fairness/nobody/here         |                                                   | 404 | no weight is set for this fairness key
            PUT    | /limits/x                     | {}                                                | 422 | a limit needs a concurrency, a rate or a budget
            PUT    | /limits/x                     | {"concurrency":1,"rat":{}}                        | 422 | unknown field rat
            PUT    | /limits/x                     | {"concurrency":-1}                                | 422 | concurrency must be a whole number from 0 to 1000000000000 but was -1
            PUT    | /limits/x                     | {"concurrency":1.5}                               | 422 | concurrency has the wrong type or form (expected a whole number)
            PUT    | /limits/x                     | {"rate":{"units":1}}                              | 422 | rate.per_seconds is required
            PUT    | /limits/x                     | {"rate":{"units":0,"per_seconds":1}}              | 422 | rate.units must be a whole number from 1
            PUT    | /limits/x                     | {"budget":{"units":1,"per":"week"}}               | 422 | budget.per must be day or month but was "week"
            PUT    | /limits/x                     | {"budget":{"units":1,"per":"day","time_zone":"Mars"}} | 422 | budget.time_zone must be a time zone such as Europe/Amsterdam but was "Mars"
            PUT    | /limits/x                     | {"concurrency":1,"applies_to":{}}                 | 422 | applies_to needs a capability, an agent_type, a task_type or a fairness_key
            PUT    | /limits/x                     | {"concurrency":1,"applies_to":{"fairness_key":"*"}} | 422 | applies_to may have * only if the name of the limit ends in *
            PUT    | /limits/x*                    | {"concurrency":1,"applies_to":{"fairness_key":"a"}} | 422 | must have one * of its own
            PUT    | /limits/a*b                   | {"concurrency":1}                                 | 422 | the name of a limit must be 1 to 100 characters
            PUT    | /limits/x;y                   | {"concurrency":1}                                 | 422 | the name of a limit must have neither
            DELETE | /limits/nobody/here           |                                                   | 404 | no limit nobody/here is defined
            GET    | /limits/nobody/here           |                                                   | 404 | no limit nobody/here is defined
            POST   | /tasks/no-such-task/results   | {"attempt":1,"agent_id":"a","status":"completed","usage":{"x":-1}} | 422 | usage.x must be from 0 to 1000000000000 but was -1
            POST   | /tasks/submit                 | {"task_data":{},"uses":{"gpt":0}}                 | 422 | uses.gpt must be from 1 to 1000000000000 but was 0
            POST   | /tasks/submit                 | {"task_data":{},"uses":{"gpt":1.5}}               | 422 | uses.gpt has the wrong type or form (expected a whole number)
            POST   | /tasks/submit                 | {"task_data":{},"uses":{"gpt*":1}}                | 422 | each name in uses must be 1 to 100 characters
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{"resources":{"gpu":0.0005}}} | 422 | resources.gpu must be from 0.001 to 1000000000, with at most three decimals
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{"resources":{"gpu":1e999999999}}} | 422 | resources.gpu must be from 0.001
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{"resources":{"gpu":1e-999999999}}} | 422 | resources.gpu must be from 0.001
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{"resources":{"gpu":"2"}}} | 422 | resources.gpu has the wrong type or form (expected a number)
            POST   | /tasks/submit                 | {"task_data":{},"requirements":{"resources":2}}   | 422 | resources has the wrong type or form (expected an object)
            GET    | /tasks/unknown                |                                                   | 404 | Task not found
            POST   | /tasks/queues/soon/clear      |                                                   | 400 | Invalid priority: soon
            PUT    | /load-balancer/strategy       | {"strategy":"best"}                               | 400 | Invalid strategy: best
            PUT    | /load-balancer/strategy       | {}                                                | 400 | strategy is required
            GET    | /agents?limit=%ff             |                                                   | 400 | percent-encoded
            GET    | /agents?status=%0Aodd         |                                                   | 422 | Invalid status: �odd
            POST   | /tasks/no-such-task/results   | {"attempt":1,"agent_id":"a","status":"completed"}  | 404 | Task not found
            POST   | /tasks/no-such-task/results   | {"attempt":1,"agent_id":"a","status":"done"}       | 422 | Invalid result status: done
            POST   | /tasks/no-such-task/results   | {"attempt":1,"agent_id":"a","status":"failed","task_id":"b"} | 422 | must equal the one in the path
            POST   | /tasks/no-such-task/results   | {"attempt":1,"agent_id":"a","status":"failed","retryable":"no"} | 422 | retryable has the wrong type or form (expected true or false)
            POST   | /tasks/no-such-task/results   | {"assignment_id":"other:1","attempt":1,"agent_id":"a","status":"failed"} | 422 | assignment_id must be task_id and attempt
            POST   | /agents/register              | {"agent_id":"a","agent_type":"worker","delivery":"push","endpoints":{"http":"http://a:99999"}} | 422 | endpoints.http must be an http or https URL
            POST   | /tasks/no-such-task/results   | {"attempt":1,"agent_id":"a","status":"failed","retry_after_seconds":-1} | 422 | retry_after_seconds must be a number from 0
            POST   | //                            |                                                   | 404 | no resource at /
            PATCH  | /tasks/submit                 | {}                                                | 405 | not supported
            GET    | /nothing                      |                                                   | 404 | no resource at /nothing
            """)
    void invalidInputIsRefusedWithAnExplanation(String method, String path, String body, int code, String detail) {
        coordinator.register("known", 4);
        Answer answer = coordinator.send(method, path, body);
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(code);
        assertThat(answer.detail())
                .contains(detail)
                .doesNotContain("\n", "Exception", "tools.jackson", "Feature", "Constraints");
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

    /** Whatever media type the caller accepts, and whether or not the request reached the application. */
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
    void aProblemQuotesLongInputOnlyPartly() {
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
            assertThat(answer.detail()).isEqualTo("the body exceeds 1048576 bytes");
        }
    }

    /** Each number is serialised as 1E+6, which is longer. */
    @Test
    void aTaskThatExceedsTheLimitOnlyWhenSerialisedIsRefused() {
        Answer answer = coordinator.post("/tasks/submit", "{\"task_data\":{\"x\":[" + "1e6,".repeat(250_000) + "1]}}");
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(413);
        assertThat(answer.detail()).isEqualTo("the record exceeds the maximum size of its topic");
    }

    @Test
    void aTaskJustBelowTheLimitIsAccepted() {
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
    void twoAgentIdsThatCollideInKafkaAreRefused() {
        coordinator.register("dot.ted", 1);
        Answer answer = coordinator.post("/agents/register", "{\"agent_id\":\"dot_ted\",\"agent_type\":\"worker\"}");
        assertThat(answer.code()).isEqualTo(422);
        assertThat(answer.detail()).contains("dot_ted");
    }

    @Test
    void aRepeatedSubmissionReturnsTheFirst() {
        String body = "{\"task_id\":\"once\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}";
        Answer first = coordinator.post("/tasks/submit", body);
        Answer second = coordinator.post("/tasks/submit", body.replace("{}", "{\"other\":1}"));
        assertThat(second.body().get("submitted_at")).isEqualTo(first.body().get("submitted_at"));
    }

    @ParameterizedTest
    @CsvSource({"completed", "failed", "cancelled"})
    void aSubmissionRepeatedAfterItsEndReturnsTheStatusOfTheFirst(String end) {
        String id = "repeated-" + end;
        String body = "{\"task_id\":\"" + id
                + "\",\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"" + id + "\"]}}";
        coordinator.submit(body);
        assertThat(coordinator
                        .post("/tasks/submit", body)
                        .body()
                        .get("existing_status")
                        .asString())
                .isEqualTo("queued");
        if (end.equals("cancelled")) {
            coordinator.post("/tasks/" + id + "/cancel", "");
        } else {
            coordinator.register(id, 1, id);
            coordinator.report(
                    coordinator.awaitRecords("assignments." + id, 1).get(0), end, end.equals("failed") ? "no" : null);
        }
        coordinator.awaitTask(id, end);

        JsonNode again = coordinator.post("/tasks/submit", body).body();
        JsonNode inBatch =
                coordinator.post("/tasks/submit/batch", "[" + body + "]").body();

        assertThat(again.get("existing_status").asString()).isEqualTo(end);
        assertThat(again.get("message").asString())
                .isEqualTo("Task was already submitted (" + end + ") and will not run again");
        assertThat(inBatch.at("/results/0/status").asString()).isEqualTo("repeated");
        assertThat(inBatch.at("/results/0/existing_status").asString()).isEqualTo(end);
    }

    @Test
    void unknownFieldsAreNamedInWarnings() {
        String task =
                "{\"task_data\":{\"any\":1},\"requirments\":{},\"payment\":{},\"requirements\":{\"capabilities\":[\"nobody\"],"
                        + "\"regoin\":\"eu\"}}";
        String good = "{\"task_data\":{\"any\":1},\"requirements\":{\"capabilities\":[\"nobody\"]}}";

        assertThat(warnings(coordinator.post("/tasks/submit", task)))
                .containsExactly(
                        "unknown field requirments has no effect here",
                        "unknown field payment has no effect here",
                        "unknown field requirements.regoin has no effect here");
        assertThat(warnings(coordinator.post("/tasks/submit", good))).isEmpty();
        JsonNode batch = coordinator
                .post("/tasks/submit/batch", "[" + good + "," + task + "]")
                .body();
        assertThat(batch.at("/results/0").has("warnings")).isFalse();
        assertThat(batch.at("/results/1/warnings")).hasSize(3);
        JsonNode strict = coordinator
                .post("/tasks/submit/batch?strict=true", good + "\n" + task)
                .body();
        assertThat(strict.at("/results/0/status").asString()).isEqualTo("accepted");
        assertThat(strict.at("/results/1/detail").asString())
                .isEqualTo("unknown fields requirments, payment, requirements.regoin");
        assertThat(
                        warnings(
                                coordinator.post(
                                        "/agents/register",
                                        "{\"agent_id\":\"warned\",\"agent_type\":\"w\",\"delivery\":\"pull\",\"identity_proof\":\"x\"}")))
                .containsExactly("unknown field identity_proof has no effect here");
        assertThat(warnings(coordinator.post("/agents/warned/heartbeat", "{\"load\":{}}")))
                .containsExactly("unknown field load has no effect here");
        assertThat(warnings(coordinator.send("PUT", "/agents/warned/status", "{\"status\":\"busy\",\"why\":1}")))
                .containsExactly("unknown field why has no effect here");
        assertThat(warnings(coordinator.post("/agents/discover", "{\"capabilites\":[\"gpu\"]}")))
                .containsExactly("unknown field capabilites has no effect here");
    }

    @Test
    void ofManyUnknownFieldsOnlySomeAreNamed() {
        String fields =
                IntStream.range(0, 30_000).mapToObj(i -> ",\"f" + i + "\":1").collect(Collectors.joining());
        String task = "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}" + fields + "}";
        assertThat(warnings(coordinator.post("/tasks/submit", task)))
                .hasSize(21)
                .last()
                .isEqualTo("29980 more unknown fields");
    }

    private static List<String> warnings(Answer answer) {
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return answer.body()
                .path("warnings")
                .valueStream()
                .map(JsonNode::asString)
                .toList();
    }

    /** As existing clients expect. */
    @Test
    void discoveryByAnUnknownStatusFindsNoAgents() {
        coordinator.register("some", 1);
        Answer answer = coordinator.post("/agents/discover", "{\"status\":\"gone\"}");
        assertThat(warnings(answer)).containsExactly("no agent has the status gone");
        assertThat(answer.body().get("count").asInt()).isZero();
        assertThat(answer.body().at("/query/status").asString()).isEqualTo("gone");
        assertThat(coordinator
                        .post("/agents/discover", "{\"agent_type\":\"gateway\"}")
                        .body()
                        .get("count")
                        .asInt())
                .isZero();
    }

    @Test
    void anInactiveAgentComesBackAndADeregisteredOneDoesNot() {
        coordinator.register("back", 1);
        for (String call : List.of("POST /agents/back/heartbeat", "PUT /agents/back/status")) {
            status("back", "inactive");
            assertThat(statusOf("back")).isEqualTo("inactive");
            Answer answer = coordinator.send(
                    call.split(" ")[0], call.split(" ")[1], call.startsWith("PUT") ? "{\"status\":\"active\"}" : "{}");
            assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
            assertThat(statusOf("back")).isEqualTo("active");
        }
        status("back", "inactive");
        coordinator.publish("agents.heartbeat", "back", "{\"agent_id\":\"back\"}");
        await().atMost(Duration.ofSeconds(90)).until(() -> statusOf("back").equals("active"));

        status("back", "inactive");
        assertThat(coordinator.send("DELETE", "/agents/back", null).code()).isEqualTo(200);

        assertThat(coordinator.post("/agents/back/heartbeat", "{}").code()).isEqualTo(404);
        assertThat(coordinator
                        .send("PUT", "/agents/back/status", "{\"status\":\"active\"}")
                        .code())
                .isEqualTo(404);
        assertThat(statusOf("back")).isEqualTo("inactive");
        coordinator.register("back", 1);
        assertThat(statusOf("back")).isEqualTo("active");
    }

    private static void status(String agentId, String status) {
        assertThat(coordinator
                        .send("PUT", "/agents/" + agentId + "/status", "{\"status\":\"" + status + "\"}")
                        .code())
                .isEqualTo(200);
    }

    private static String statusOf(String agentId) {
        return coordinator.get("/agents/" + agentId).body().at("/agent/status").asString();
    }

    /** Input refused by REST is also refused from Kafka, with the reason on the dead-letter topic. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            tasks.low        | {"task_id":"kafka-1","task_data":{},"not_before":1700000000000} | not_before has the wrong type or form
            tasks.low        | {"task_id":"kafka-2","task_data":{},"expires_at":"1700000000"}  | expires_at has the wrong type or form
            tasks.low        | {"task_id":"status","task_data":{}}                             | task_id must not be "status"
            tasks.low        | {"task_id":"..","task_data":{}}                                 | neither . nor ..
            tasks.low        | {"task_id":"kafka-3","task_data":{"a":1,"a":2}}                 | "a" appears twice in task_data
            tasks.results    | {"task_id":"kafka-4","attempt":1,"agent_id":"a","status":"completed","finished_at":1} | finished_at has
            agents.heartbeat | {"agent_id":"kafka-5","sent_at":1700000000000}                  | sent_at has the wrong type or form
            agents.heartbeat | {"agent_id":"."}                                                | neither . nor ..
            """)
    void inputRefusedByRestIsRefusedFromKafka(String topic, String value, String reason) {
        String key = "refused-" + Math.abs(value.hashCode());
        coordinator.publish(topic, key, value);
        JsonNode letter = await().atMost(Duration.ofSeconds(90))
                .until(
                        () -> coordinator
                                .get("/tasks/dead-letter?limit=1000")
                                .body()
                                .get("dead_letters")
                                .valueStream()
                                .filter(one -> one.path("task_id").asString("").equals(key))
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
        assertThat(letter.get("reason").asString()).isEqualTo("malformed");
        assertThat(letter.get("detail").asString()).contains(reason);
    }

    /** Generators resolve the references of the AsyncAPI document. */
    @Test
    void theAsyncApiDocumentAndItsSchemasAreServed() {
        String asyncApi = coordinator.text("/asyncapi.yaml");
        List<String> schemas = Pattern.compile("'(schemas/[^']+)'")
                .matcher(asyncApi)
                .results()
                .map(reference -> reference.group(1))
                .toList();
        assertThat(schemas).contains("schemas/task.schema.json", "schemas/result.schema.json");
        assertThat(schemas).allSatisfy(schema -> {
            Answer answer = coordinator.get("/" + schema);
            assertThat(answer.code()).isEqualTo(200);
            assertThat(answer.body().get("$id").asString()).endsWith("/" + schema);
        });
        assertThat(coordinator.get("/schemas/nothing.schema.json").code()).isEqualTo(404);
    }

    @Test
    void theOpenApiDocumentHasEveryCallWithItsExample() {
        JsonNode document = coordinator.get("/openapi.json").body();
        assertThat(document.get("openapi").asString()).startsWith("3.1");
        OpenApiConfiguration.examples().propertyNames().stream()
                .filter(call -> !call.equals("problem"))
                .forEach(call -> {
                    String method = call.substring(0, call.indexOf(' ')).toLowerCase();
                    JsonNode operation = document.path("paths")
                            .path(call.substring(call.indexOf(' ') + 1))
                            .path(method);
                    String success = operation.path("responses").has("202") ? "202" : "200";
                    assertThat(operation
                                    .at("/responses/" + success + "/content")
                                    .properties())
                            .as("%s: %s", call, operation)
                            .isNotEmpty();
                    JsonNode response = operation
                            .at("/responses/" + success + "/content")
                            .properties()
                            .iterator()
                            .next()
                            .getValue();
                    assertThat(response.has("example")).as(call).isTrue();
                });
    }
}

package io.aitbc.coordinator.push;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.HeartbeatLoop;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Agents to which two coordinators push over HTTP. */
class PushTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final String[] SETTINGS = {
        "--aitbc.settle.retry-backoff=10ms",
        "--aitbc.push.allow-private-addresses=true",
        "--aitbc.push.response-timeout=1s"
    };

    private static final String DONE = "{\"status\":\"completed\",\"result\":{\"sum\":5}}";
    private static final String TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    private static RunningCoordinator one;
    private static RunningCoordinator other;

    @BeforeAll
    static void start() {
        one = RunningCoordinator.start(LocalStack.shared(), "push.", 2, SETTINGS);
        other = RunningCoordinator.start(LocalStack.shared(), "push.", 2, SETTINGS);
        // After a rebalance, the new owner of an agent does not know the Retry-After that it sent to the old one.
        await().atMost(LONG).until(() -> {
            Map<Boolean, Long> owners = IntStream.range(0, 100)
                    .mapToObj(i -> "agent-" + i)
                    .filter(id -> owns(one, id) != owns(other, id))
                    .collect(Collectors.partitioningBy(id -> owns(one, id), Collectors.counting()));
            return owners.get(true) > 0 && owners.get(false) > 0 && owners.get(true) + owners.get(false) == 100;
        });
    }

    private static boolean owns(RunningCoordinator coordinator, String agentId) {
        return coordinator.part(HeartbeatLoop.class).owns(agentId);
    }

    @AfterAll
    static void stop() {
        other.close();
        one.close();
    }

    private static JsonNode register(String agentId, String url, int capacity, String... capabilities) {
        return register(one, agentId, url, capacity, capabilities);
    }

    private static JsonNode register(
            RunningCoordinator at, String agentId, String url, int capacity, String... capabilities) {
        ObjectNode agent = Json.object()
                .put("agent_id", agentId)
                .put("agent_type", "worker")
                .put("capacity", capacity)
                .put("delivery", "push");
        agent.putObject("endpoints").put("http", url);
        agent.set("capabilities", Json.tree(capabilities.length == 0 ? List.of(agentId) : List.of(capabilities)));
        Answer answer = at.post("/agents/register", Json.text(agent));
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return answer.body();
    }

    private static String submitTo(String capability) {
        return submitTo(capability, 600);
    }

    private static String submitTo(String capability, int timeoutSeconds) {
        return submitTo(one, capability, timeoutSeconds);
    }

    private static String submitTo(RunningCoordinator at, String capability, int timeoutSeconds) {
        return at.submit(
                "{\"task_data\":{\"task_type\":\"sum\",\"n\":[2,3]},\"priority\":\"urgent\",\"timeout_seconds\":"
                        + timeoutSeconds + ",\"requirements\":{\"capabilities\":[\"" + capability + "\"]}}");
    }

    /** Why a request is not as the schema says that the OpenAPI document names for it. */
    private static List<String> errors(String schema, JsonNode body) {
        return SchemaRegistry.withDefaultDialect(
                        SpecificationVersion.DRAFT_2020_12,
                        builder -> builder.schemaIdResolvers(
                                ids -> ids.mapPrefix("https://aitbc.io/schemas/", "classpath:schemas/")))
                .getSchema(SchemaLocation.of("https://aitbc.io/schemas/" + schema + ".schema.json"))
                .validate(body)
                .stream()
                .map(Object::toString)
                .toList();
    }

    private static JsonNode agent(String agentId) {
        return one.get("/agents/" + agentId).body().get("agent");
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aResultInTheResponseEndsTheTask() {
        try (HttpAgent agent = HttpAgent.start(request -> HttpAgent.Answer.of(200, DONE))) {
            JsonNode registered = register("adder", agent.url() + "/", 2);
            assertThat(registered.get("delivery").asString()).isEqualTo("push");
            assertThat(registered.get("push_url").asString()).isEqualTo(agent.url() + "/tasks/execute");
            String taskId = one.send(
                            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + one.port() + "/tasks/submit"))
                                    .header("Content-Type", "application/json")
                                    .header("traceparent", TRACE)
                                    .POST(HttpRequest.BodyPublishers.ofString(
                                            "{\"task_data\":{\"task_type\":\"sum\",\"n\":[2,3]},\"priority\":\"urgent\","
                                                    + "\"requirements\":{\"capabilities\":[\"adder\"]}}")))
                    .body()
                    .get("task_id")
                    .asString();

            JsonNode task = one.awaitTask(taskId, "completed");
            assertThat(task.get("result").get("sum").asInt()).isEqualTo(5);
            HttpAgent.Request request = agent.executed.get(0);
            assertThat(agent.executed).hasSize(1);
            assertThat(request.idempotencyKey()).isEqualTo(taskId + ":1");
            assertThat(request.traceparent()).startsWith(TRACE.substring(0, 35));
            JsonNode body = request.body();
            assertThat(errors("execute", body)).isEmpty();
            assertThat(body.get("assignment_id").asString()).isEqualTo(taskId + ":1");
            assertThat(body.get("task_data").get("n").size()).isEqualTo(2);
            assertThat(body.get("id").asString()).isEqualTo(taskId + ":1");
            assertThat(body.get("sender_id").asString()).isEqualTo("agent-coordinator");
            assertThat(body.get("receiver_id").asString()).isEqualTo("adder");
            assertThat(body.get("message_type").asString()).isEqualTo("task_assignment");
            assertThat(body.get("priority").asString()).isEqualTo("critical");
            assertThat(body.get("correlation_id").asString()).isEqualTo(taskId);
            assertThat(body.get("ttl").asInt()).isBetween(1, 600);
            JsonNode payload = body.get("payload");
            assertThat(payload.get("task_id").asString()).isEqualTo(taskId);
            assertThat(payload.get("task_type").asString()).isEqualTo("sum");
            assertThat(payload.get("task_data")).isEqualTo(body.get("task_data"));
            assertThat(payload.get("priority").asString()).isEqualTo("urgent");
            assertThat(one.post("/agents/adder/assignments/claim", "{}").detail())
                    .contains("does not pull its assignments");
        }
    }

    @ParameterizedTest
    @Execution(ExecutionMode.CONCURRENT)
    @ValueSource(ints = {200, 201, 202})
    void withoutAResultInTheResponseItFollows(int status) {
        String id = "later-" + status;
        try (HttpAgent agent = HttpAgent.start(request -> HttpAgent.Answer.of(status, "{\"status\":\"accepted\"}"))) {
            register(id, agent.url(), 1);
            String taskId = submitTo(id);
            await().atMost(LONG).until(() -> !agent.executed.isEmpty());
            ObjectNode result = RunningCoordinator.result(agent.executed.get(0).body(), "completed");

            assertThat(other.post("/tasks/" + taskId + "/results", Json.text(result))
                            .code())
                    .isEqualTo(202);

            assertThat(one.awaitTask(taskId, "completed").get("agent_id").asString())
                    .isEqualTo(id);
            String next = submitTo(id);
            await().atMost(LONG).until(() -> agent.executed.size() == 2);
            assertThat(agent.executed.get(1).idempotencyKey()).isEqualTo(next + ":1");
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aFailureInTheResponseIsRetriedAsTheAgentSays() {
        try (HttpAgent agent = HttpAgent.start(
                request -> HttpAgent.Answer.of(200, "{\"error\":\"no such model\",\"retryable\":false}"))) {
            register("choosy", agent.url(), 1);

            JsonNode task = one.awaitTask(submitTo("choosy"), "failed");

            assertThat(task.get("error").asString()).contains("no such model");
            assertThat(agent.executed).hasSize(1);
            one.awaitTask(
                    one.submit(
                            "{\"task_data\":{},\"max_attempts\":2,\"requirements\":{\"capabilities\":[\"choosy\"]}}"),
                    "failed");
            assertThat(agent.cancelled).as("it knows how its attempts ended").isEmpty();
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aTaskOfAnAgentThatRefusesConnectionsIsGivenBackWithoutUsingAnAttempt() {
        int port;
        try (HttpAgent dying = HttpAgent.start(request -> HttpAgent.Answer.of(200, DONE))) {
            port = dying.port();
            register("dying", dying.url(), 1);
            one.awaitTask(submitTo("dying"), "completed");
        }
        String taskId =
                one.submit("{\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"dying\"]}}");
        await().atMost(LONG).until(() -> agent("dying").has("not_reached"));
        assertThat(agent("dying").get("not_reached").asString())
                .startsWith("http://127.0.0.1:" + port)
                .endsWith(" cannot be reached: the connection is refused");
        await().atMost(LONG)
                .until(() -> one.get("/tasks/" + taskId + "/explain")
                        .body()
                        .toString()
                        .contains("not_reached"));

        try (HttpAgent back = HttpAgent.start(port, request -> HttpAgent.Answer.of(200, DONE))) {
            one.awaitTask(taskId, "completed");
            assertThat(back.executed).hasSize(1);
            await().atMost(LONG).until(() -> !agent("dying").has("not_reached"));
        }
    }

    /** Also what was reserved for a claim that was open, and was not served before the claim ended. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void whatIsReservedBeforeALongPauseIsGivenBack() {
        try (HttpAgent agent =
                HttpAgent.start(request -> new HttpAgent.Answer(429, Map.of("Retry-After", "500"), ""))) {
            register("many-at-once", agent.url(), 10);
            IntStream.range(0, 5).forEach(i -> submitTo("many-at-once"));

            await().atMost(LONG)
                    .until(() -> !agent.executed.isEmpty()
                            && agent("many-at-once").get("inflight").asInt() == 0);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anOverloadedAgentIsWaitedFor() {
        AtomicInteger requests = new AtomicInteger();
        try (HttpAgent agent = HttpAgent.start(request -> requests.incrementAndGet() == 1
                ? new HttpAgent.Answer(429, Map.of("Retry-After", "2"), "slow down")
                : HttpAgent.Answer.of(200, DONE))) {
            register("overloaded", agent.url(), 1);
            long from = System.nanoTime();

            JsonNode task = one.awaitTask(submitTo("overloaded"), "completed");

            assertThat(task.get("attempt").asInt()).isEqualTo(1);
            assertThat(Duration.ofNanos(System.nanoTime() - from)).isGreaterThan(Duration.ofSeconds(2));
            assertThat(agent.executed)
                    .extracting(HttpAgent.Request::idempotencyKey)
                    .hasSize(2)
                    .allMatch(key -> key.endsWith(":1"));
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aTaskOfAnAgentThatStaysOverloadedGoesToAnotherWithoutUsingAnAttempt() {
        try (HttpAgent busy = HttpAgent.start(request -> new HttpAgent.Answer(503, Map.of("Retry-After", "3600"), ""));
                HttpAgent free = HttpAgent.start(request -> HttpAgent.Answer.of(200, DONE))) {
            register("always-busy", busy.url(), 1, "shared-work");
            String taskId = one.submit(
                    "{\"task_data\":{},\"max_attempts\":1," + "\"requirements\":{\"capabilities\":[\"shared-work\"]}}");
            await().atMost(LONG).until(() -> busy.executed.size() == 1);

            register("always-free", free.url(), 1, "shared-work");

            JsonNode task = one.awaitTask(taskId, "completed");
            assertThat(task.get("agent_id").asString()).isEqualTo("always-free");
            assertThat(busy.executed).hasSize(1);
        }
    }

    @ParameterizedTest
    @Execution(ExecutionMode.CONCURRENT)
    @ValueSource(ints = {302, 400, 404, 500})
    void anyOtherResponseMayMeanThatItIsRunning(int status) {
        String id = "odd-" + status;
        AtomicInteger requests = new AtomicInteger();
        try (HttpAgent elsewhere = HttpAgent.start(request -> HttpAgent.Answer.of(200, DONE));
                HttpAgent agent = HttpAgent.start(request -> requests.incrementAndGet() < 3
                        ? new HttpAgent.Answer(status, Map.of("Location", elsewhere.url() + "/tasks/execute"), "")
                        : HttpAgent.Answer.of(200, DONE))) {
            register(id, agent.url(), 1);

            JsonNode task = one.awaitTask(submitTo(id), "completed");

            assertThat(task.get("attempt").asInt()).isEqualTo(1);
            assertThat(agent.executed)
                    .extracting(HttpAgent.Request::idempotencyKey)
                    .hasSize(3)
                    .containsOnly(task.get("task_id").asString() + ":1");
            assertThat(elsewhere.executed).isEmpty();
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anAgentThatDoesNotRespondUsesAnAttemptAtTheDeadline() {
        CountDownLatch never = new CountDownLatch(1);
        AtomicInteger requests = new AtomicInteger();
        try (HttpAgent agent = HttpAgent.start(request -> {
            if (request.body().get("attempt").asInt() == 1) {
                requests.incrementAndGet();
                hold(never);
            }
            return HttpAgent.Answer.of(200, DONE);
        })) {
            register("silent", agent.url(), 1);

            JsonNode task = one.awaitTask(submitTo("silent", 5), "completed");

            assertThat(task.get("attempt").asInt()).isEqualTo(2);
            assertThat(requests.get())
                    .as("repeated after 1 s without a response")
                    .isGreaterThan(1);
            never.countDown();
        }
    }

    private static void hold(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aSlowAgentDelaysNoOtherAndGetsNoMoreThanItsCapacity() {
        CountDownLatch released = new CountDownLatch(1);
        Set<String> running = ConcurrentHashMap.newKeySet();
        AtomicInteger most = new AtomicInteger();
        try (HttpAgent slow = HttpAgent.start(request -> {
                    // Requests are repeated meanwhile: they count once.
                    running.add(request.idempotencyKey());
                    most.accumulateAndGet(running.size(), Math::max);
                    hold(released);
                    running.remove(request.idempotencyKey());
                    return HttpAgent.Answer.of(200, DONE);
                });
                HttpAgent quick = HttpAgent.start(request -> HttpAgent.Answer.of(200, DONE))) {
            register("slow", slow.url(), 2);
            register("quick", quick.url(), 2);
            List<String> slowTasks =
                    IntStream.range(0, 5).mapToObj(i -> submitTo("slow")).toList();
            await().atMost(LONG).until(() -> running.size() == 2);

            List<String> quickTasks =
                    IntStream.range(0, 20).mapToObj(i -> submitTo("quick")).toList();

            quickTasks.forEach(task -> one.awaitTask(task, "completed"));
            assertThat(running).hasSize(2);
            released.countDown();
            slowTasks.forEach(task -> one.awaitTask(task, "completed"));
            assertThat(most.get()).isEqualTo(2);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aResponseThatIsTooLargeIsAFailure() {
        try (HttpAgent agent = HttpAgent.start(
                request -> HttpAgent.Answer.of(200, "{\"result\":\"" + "x".repeat(2_000_000) + "\"}"))) {
            register("verbose", agent.url(), 1);
            JsonNode task = one.awaitTask(
                    one.submit(
                            "{\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"verbose\"]}}"),
                    "failed");

            assertThat(task.get("error").asString()).contains("the agent's response is larger than 1048576 bytes");
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anAgentThatFailsAllTasksGetsThreeOneAtATime() {
        try (HttpAgent agent = HttpAgent.start(request -> HttpAgent.Answer.of(500, ""))) {
            register("failing", agent.url(), 5);
            submitTo("failing");
            // Its repetition shows that the failure was noticed. Until then, more may be claimed.
            await().atMost(LONG).until(() -> agent.executed.size() >= 2);
            IntStream.range(0, 4).forEach(i -> submitTo("failing"));

            await().atMost(LONG).until(() -> agent.executed.size() >= 12);

            assertThat(agent.executed.stream()
                            .map(HttpAgent.Request::idempotencyKey)
                            .distinct())
                    .hasSize(3);
            assertThat(agent("failing").get("inflight").asInt()).isEqualTo(3);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aTaskThatFailsDoesNotKeepItsAgentFromOthers() {
        try (HttpAgent agent = HttpAgent.start(
                request -> HttpAgent.Answer.of(request.body().at("/task_data/n").asInt() == 1 ? 400 : 200, DONE))) {
            register("picky", agent.url(), 4);
            String bad = submitNumber("picky", 1);
            await().atMost(LONG).until(() -> agent("picky").has("push_failure"));
            assertThat(agent("picky").get("push_failure").asString())
                    .isEqualTo(bad + ":1: it responds with status 400");

            List<String> good = IntStream.range(2, 6)
                    .mapToObj(n -> submitNumber("picky", n))
                    .toList();

            good.forEach(task -> one.awaitTask(task, "completed"));
            assertThat(one.get("/tasks/" + bad).body().get("status").asString())
                    .as("it may be running")
                    .isEqualTo("assigned");
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aSuccessDoesNotShortenTheDelayThatTheAgentHasRequested() {
        CountDownLatch refused = new CountDownLatch(1);
        AtomicLong refusedNanos = new AtomicLong();
        Map<String, Long> executedNanos = new ConcurrentHashMap<>();
        try (HttpAgent agent = HttpAgent.start(request -> {
            switch (request.body().at("/task_data/n").asInt()) {
                case 1 -> hold(refused);
                case 2 -> {
                    if (refusedNanos.compareAndSet(0, System.nanoTime())) {
                        refused.countDown();
                        return new HttpAgent.Answer(429, Map.of("Retry-After", "4"), "");
                    }
                }
                default -> {}
            }
            executedNanos.putIfAbsent(request.idempotencyKey(), System.nanoTime());
            return HttpAgent.Answer.of(200, DONE);
        })) {
            register("limited", agent.url(), 3);
            String first = submitNumber("limited", 1);
            await().atMost(LONG).until(() -> agent.executed.size() == 1);
            String second = submitNumber("limited", 2);
            one.awaitTask(first, "completed");
            String third = submitNumber("limited", 3);

            one.awaitTask(second, "completed");
            one.awaitTask(third, "completed");

            assertThat(List.of(second, third))
                    .allSatisfy(
                            task -> assertThat(Duration.ofNanos(executedNanos.get(task + ":1") - refusedNanos.get()))
                                    .isGreaterThanOrEqualTo(Duration.ofSeconds(4)));
        }
    }

    private static String submitNumber(String capability, int n) {
        return one.submit(
                "{\"task_data\":{\"n\":" + n + "},\"requirements\":{\"capabilities\":[\"" + capability + "\"]}}");
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void whatIsCancelledDuringAPauseIsNotPosted() {
        AtomicInteger requests = new AtomicInteger();
        try (HttpAgent agent = HttpAgent.start(request -> requests.incrementAndGet() == 1
                ? new HttpAgent.Answer(503, Map.of("Retry-After", "3"), "")
                : HttpAgent.Answer.of(200, DONE))) {
            register("pausing", agent.url(), 1);
            String cancelled = submitTo("pausing");
            await().atMost(LONG).until(() -> agent.executed.size() == 1);
            assertThat(one.post("/tasks/" + cancelled + "/cancel", "{}").code()).isEqualTo(200);
            String next = submitTo("pausing");

            one.awaitTask(next, "completed");

            assertThat(agent.executed)
                    .extracting(HttpAgent.Request::idempotencyKey)
                    .containsExactly(cancelled + ":1", next + ":1");
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aResponseDoesNotBringBackAnAgentThatSaidItIsInactive() {
        CountDownLatch released = new CountDownLatch(1);
        try (HttpAgent agent = HttpAgent.start(request -> {
            hold(released);
            return HttpAgent.Answer.of(200, DONE);
        })) {
            register("leaving", agent.url(), 1);
            String taskId = submitTo("leaving");
            await().atMost(LONG).until(() -> agent.executed.size() == 1);
            assertThat(one.send("PUT", "/agents/leaving/status", "{\"status\":\"inactive\"}")
                            .code())
                    .isEqualTo(200);
            released.countDown();

            // Its task was requeued. The response is a sign of life, which is recorded once in five seconds.
            one.part(Registry.class).recordAlive(List.of("leaving"), Instant.now());

            assertThat(agent("leaving").get("status").asString()).isEqualTo("inactive");
            assertThat(one.get("/tasks/" + taskId).code()).isEqualTo(200);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anAgentIsNotifiedOfCancellations() {
        try (HttpAgent agent = HttpAgent.start(request -> HttpAgent.Answer.of(202, ""))) {
            register("cancelled", agent.url(), 1);
            String taskId = submitTo("cancelled");
            await().atMost(LONG).until(() -> agent.executed.size() == 1);

            assertThat(other.post("/tasks/" + taskId + "/cancel", "{}").code()).isEqualTo(200);

            await().atMost(LONG).until(() -> !agent.cancelled.isEmpty());
            assertThat(errors("cancellation", agent.cancelled.get(0))).isEmpty();
            assertThat(agent.cancelled.get(0).get("assignment_id").asString()).isEqualTo(taskId + ":1");
            assertThat(agent.cancelled.get(0).get("type").asString()).isEqualTo("cancellation");
        }
    }

    /** What the agent is running must not be given to another, although nothing in Redis says that it was served. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void whatWasAcceptedBeforeRedisWasEmptiedIsNotGivenBack() {
        AtomicInteger requests = new AtomicInteger();
        try (RunningCoordinator emptied = RunningCoordinator.start(LocalStack.shared(), "push-emptied.", 4, SETTINGS);
                HttpAgent agent = HttpAgent.start(
                        request -> HttpAgent.Answer.of(requests.incrementAndGet() == 1 ? 202 : 503, ""))) {
            register(emptied, "keeper", agent.url(), 1);
            String taskId = emptied.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"keeper\"]}}");
            await().atMost(LONG).until(() -> agent.executed.size() == 1);

            emptied.part(Redis.class).sync().flushdb();

            // A new assignment would be given back after four.
            await().atMost(LONG).until(() -> agent.executed.size() >= 6);
            assertThat(emptied.post(
                                    "/tasks/" + taskId + "/results",
                                    Json.text(RunningCoordinator.result(
                                            agent.executed.get(0).body(), "completed")))
                            .code())
                    .isEqualTo(202);
            assertThat(emptied.awaitTask(taskId, "completed").get("attempt").asInt())
                    .isEqualTo(1);
        }
    }

    /** Has coordinators of its own, because agents move to another coordinator when one starts or stops. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void assignmentsOfACoordinatorThatStopsArePushedByAnother() {
        AtomicInteger requests = new AtomicInteger();
        try (RunningCoordinator staying = RunningCoordinator.start(LocalStack.shared(), "push-heirs.", 5, SETTINGS);
                HttpAgent agent = HttpAgent.start(request -> requests.incrementAndGet() % 2 == 1
                        ? HttpAgent.Answer.of(500, "")
                        : HttpAgent.Answer.of(200, DONE))) {
            List<String> tasks;
            try (RunningCoordinator leaving =
                    RunningCoordinator.start(LocalStack.shared(), "push-heirs.", 5, SETTINGS)) {
                List<String> ids =
                        IntStream.range(0, 12).mapToObj(i -> "heir-" + i).toList();
                ids.forEach(id -> register(leaving, id, agent.url(), 1));
                tasks = ids.stream().map(id -> submitTo(leaving, id, 600)).toList();
                await().atMost(LONG).until(() -> agent.executed.size() >= 6);
            }

            for (String task : tasks) {
                assertThat(staying.awaitTask(task, "completed").get("attempt").asInt())
                        .isEqualTo(1);
            }
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anEndpointIsRequired() {
        Answer answer = one.post(
                "/agents/register",
                "{\"agent_id\":\"nowhere\",\"agent_type\":\"worker\",\"delivery\":\"push\",\"endpoints\":{\"http\":\"ftp://x\"}}");

        assertThat(answer.code()).isEqualTo(422);
        assertThat(answer.detail())
                .contains(
                        "endpoints.http must be an http or https URL of at most 2000 characters without user, query and fragment,"
                                + " because delivery is push: ftp://x");
    }
}

package io.aitbc.coordinator.delivery;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Agents that claim their assignments over HTTP, at two coordinators. */
class PullTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final String[] SETTINGS = {"--aitbc.settle.retry-backoff=10ms"};

    private static final String TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    private static RunningCoordinator one;
    private static RunningCoordinator other;

    @BeforeAll
    static void start() {
        one = RunningCoordinator.start(LocalStack.shared(), "pull.", 2, SETTINGS);
        other = RunningCoordinator.start(LocalStack.shared(), "pull.", 2, SETTINGS);
    }

    @AfterAll
    static void stop() {
        other.close();
        one.close();
    }

    private static JsonNode register(String agentId, int capacity) {
        Answer answer = one.post(
                "/agents/register",
                Json.text(Json.object()
                        .put("agent_id", agentId)
                        .put("agent_type", "worker")
                        .put("capacity", capacity)
                        .put("delivery", "pull")
                        .set("capabilities", Json.tree(List.of(agentId)))));
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return answer.body();
    }

    private static String submitTo(String agentId) {
        return one.submit("{\"task_data\":{\"n\":1},\"requirements\":{\"capabilities\":[\"" + agentId + "\"]}}");
    }

    private static Answer claim(RunningCoordinator at, String agentId, ObjectNode body) {
        return at.post("/agents/" + agentId + "/assignments/claim", Json.text(body));
    }

    private static ObjectNode body(int max, int waitSeconds) {
        return Json.object().put("max", max).put("wait_seconds", waitSeconds);
    }

    private static CompletableFuture<Answer> claimInBackground(RunningCoordinator at, String agentId, ObjectNode body) {
        return CompletableFuture.supplyAsync(() -> claim(at, agentId, body), task -> new Thread(task).start());
    }

    private static List<JsonNode> assignments(Answer answer) {
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return StreamSupport.stream(answer.body().get("assignments").spliterator(), false)
                .toList();
    }

    /** Claims until an assignment arrives. */
    private static JsonNode claimOne(RunningCoordinator at, String agentId, ObjectNode body) {
        List<JsonNode> found = new ArrayList<>();
        await().atMost(LONG).until(() -> {
            found.addAll(assignments(claim(at, agentId, body)));
            return !found.isEmpty();
        });
        return found.get(0);
    }

    private static JsonNode agent(String agentId) {
        return one.get("/agents/" + agentId).body().get("agent");
    }

    private static void awaitOpenSlots(String agentId, int count) {
        await().atMost(LONG).until(() -> agent(agentId).get("open_slots").asInt() == count);
    }

    private static Answer report(JsonNode assignment, String status) {
        ObjectNode result = RunningCoordinator.result(assignment, status);
        if (status.equals("completed")) {
            result.putObject("result").put("done", true);
        } else if (status.equals("failed")) {
            result.put("error", "no luck");
        }
        return other.post("/tasks/" + assignment.get("task_id").asString() + "/results", Json.text(result));
    }

    @Test
    void aTaskReachesAnOpenClaimAtAnotherCoordinator() {
        JsonNode registered = register("walker", 4);
        assertThat(registered.get("delivery").asString()).isEqualTo("pull");
        assertThat(registered.get("claim_path").asString()).isEqualTo("/agents/walker/assignments/claim");
        assertThat(agent("walker").get("claim_path").asString()).isEqualTo("/agents/walker/assignments/claim");
        CompletableFuture<Answer> open = claimInBackground(other, "walker", body(4, 60));
        awaitOpenSlots("walker", 4);

        String taskId = submitTo("walker");

        JsonNode assignment = assignments(open.join()).get(0);
        assertThat(assignment.get("assignment_id").asString()).isEqualTo(taskId + ":1");
        assertThat(assignment.get("agent_id").asString()).isEqualTo("walker");
        assertThat(assignment.get("task_data").get("n").asInt()).isEqualTo(1);
        assertThat(agent("walker").get("inflight").asInt()).isEqualTo(1);
        assertThat(agent("walker").get("open_slots").asInt()).isZero();
        assertThat(report(assignment, "completed").code()).isEqualTo(202);
        assertThat(one.awaitTask(taskId, "completed").get("agent_id").asString())
                .isEqualTo("walker");
        String traced = one.send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + one.port() + "/tasks/submit"))
                        .header("Content-Type", "application/json")
                        .header("traceparent", TRACE)
                        .POST(HttpRequest.BodyPublishers.ofString(
                                "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"walker\"]}}")))
                .body()
                .get("task_id")
                .asString();
        ObjectNode next = body(4, 20).set("received", Json.tree(List.of(taskId + ":1")));
        JsonNode second = claimOne(one, "walker", next);
        assertThat(second.get("task_id").asString()).isEqualTo(traced);
        assertThat(second.get("traceparent").asString()).startsWith(TRACE.substring(0, 35));
    }

    @Test
    void nothingIsReservedWithoutAnOpenClaim() {
        register("sleeper", 100);
        String taskId = submitTo("sleeper");
        await().atMost(LONG)
                .until(() -> one.get("/tasks/" + taskId + "/explain")
                        .body()
                        .toString()
                        .contains("it pulls its assignments, and has no open claim"));
        assertThat(agent("sleeper").get("inflight").asInt()).isZero();

        JsonNode assignment = claimOne(one, "sleeper", body(1, 20));

        assertThat(assignment.get("task_id").asString()).isEqualTo(taskId);
    }

    /** Whatever the number of waiting tasks, an agent gets what its claims request, up to its capacity. */
    @Test
    void anOpenClaimIsTheCapacity() {
        register("modest", 3);
        List<String> taskIds =
                Stream.generate(() -> submitTo("modest")).limit(6).toList();
        List<JsonNode> held = new ArrayList<>();
        held.add(claimOne(one, "modest", body(1, 20)));
        assertThat(agent("modest").get("inflight").asInt()).isEqualTo(1);
        while (held.size() < 3) {
            ObjectNode next = body(1, 20).set("received", Json.tree(ids(held)));
            held.addAll(assignments(claim(other, "modest", next)));
        }
        assertThat(held.stream().map(one -> one.get("task_id").asString()).distinct())
                .hasSize(3)
                .isSubsetOf(taskIds);
        // It is full: a claim for more stays empty.
        ObjectNode more = body(10, 1).set("received", Json.tree(ids(held)));
        assertThat(assignments(claim(one, "modest", more))).isEmpty();
        assertThat(agent("modest").get("inflight").asInt()).isEqualTo(3);

        held.forEach(one -> report(one, "completed"));
        await().atMost(LONG).until(() -> agent("modest").get("inflight").asInt() == 0);
        List<JsonNode> rest = new ArrayList<>();
        while (rest.size() < 3) {
            ObjectNode next = body(10, 20).set("received", Json.tree(ids(rest)));
            rest.addAll(assignments(claim(one, "modest", next)));
        }
        assertThat(rest).hasSize(3);
    }

    private static List<String> ids(List<JsonNode> assignments) {
        return assignments.stream()
                .map(one -> one.get("assignment_id").asString())
                .toList();
    }

    @Test
    void whatWasNotConfirmedComesAgain() {
        register("forgetful", 1);
        submitTo("forgetful");
        ObjectNode first = body(1, 20).put("instance_id", "first");
        JsonNode assignment = claimOne(one, "forgetful", first);
        assertThat(claimOne(other, "forgetful", first)).isEqualTo(assignment);
        long servedAt = System.nanoTime();

        JsonNode again = claimOne(one, "forgetful", body(1, 20).put("instance_id", "second"));

        assertThat(again).isEqualTo(assignment);
        assertThat(Duration.ofNanos(System.nanoTime() - servedAt)).isGreaterThan(Duration.ofSeconds(8));
        ObjectNode confirming = body(1, 0)
                .put("instance_id", "second")
                .set("received", Json.tree(List.of(assignment.get("assignment_id"))));
        assertThat(assignments(claim(one, "forgetful", confirming))).isEmpty();
        assertThat(assignments(claim(other, "forgetful", body(1, 0).put("instance_id", "second"))))
                .isEmpty();
        assertThat(report(assignment, "completed").code()).isEqualTo(202);
        assertThat(one.awaitTask(assignment.get("task_id").asString(), "completed"))
                .isNotNull();
        assertThat(report(assignment, "completed").code()).isEqualTo(202);
    }

    @Test
    void progressConfirms() {
        register("talkative", 1);
        submitTo("talkative");
        JsonNode assignment = claimOne(one, "talkative", body(1, 20));
        ObjectNode progress = RunningCoordinator.result(assignment, "progress");
        progress.putObject("result").put("percent", 10);
        assertThat(one.post("/tasks/" + assignment.get("task_id").asString() + "/results", Json.text(progress))
                        .code())
                .isEqualTo(202);
        one.awaitTask(assignment.get("task_id").asString(), "assigned");
        await().atMost(LONG)
                .until(() -> assignments(claim(one, "talkative", body(1, 0))).isEmpty());
    }

    @Test
    void aSecondClaimOfAnInstanceEndsTheFirst() {
        register("hasty", 5);
        CompletableFuture<Answer> first = claimInBackground(one, "hasty", body(2, 60));
        awaitOpenSlots("hasty", 2);
        CompletableFuture<Answer> second = claimInBackground(other, "hasty", body(3, 60));

        assertThat(assignments(first.join())).isEmpty();

        awaitOpenSlots("hasty", 3);
        CompletableFuture<Answer> elsewhere =
                claimInBackground(other, "hasty", body(1, 60).put("instance_id", "second"));
        awaitOpenSlots("hasty", 4);
        submitTo("hasty");
        await().atMost(LONG).until(() -> second.isDone() || elsewhere.isDone());
        submitTo("hasty");
        assertThat(assignments(second.join())).hasSize(1);
        assertThat(assignments(elsewhere.join())).hasSize(1);
        assertThat(agent("hasty").get("open_slots").asInt()).isZero();
    }

    @Test
    void aCancelledTaskIsNamedToTheInstanceThatHasIt() {
        register("stoppable", 2);
        String taskId = submitTo("stoppable");
        JsonNode assignment = claimOne(one, "stoppable", body(1, 20));
        List<String> received = List.of(assignment.get("assignment_id").asString());
        CompletableFuture<Answer> open =
                claimInBackground(other, "stoppable", body(1, 60).set("received", Json.tree(received)));
        awaitOpenSlots("stoppable", 1);

        assertThat(one.post("/tasks/" + taskId + "/cancel", "").code()).isEqualTo(200);

        Answer answer = open.join();
        assertThat(assignments(answer)).isEmpty();
        assertThat(answer.body().get("cancelled").toString()).isEqualTo("[\"" + taskId + ":1\"]");
        assertThat(report(assignment, "completed").code()).isEqualTo(409);
        // The answer may have been lost. It is named again, which does not end another wait.
        submitTo("stoppable");
        Answer next = claim(one, "stoppable", body(1, 20));
        assertThat(assignments(next)).hasSize(1);
        assertThat(next.body().get("cancelled").toString()).isEqualTo("[\"" + taskId + ":1\"]");
        // Other instances are not concerned.
        assertThat(claim(one, "stoppable", body(1, 0).put("instance_id", "second"))
                        .body()
                        .get("cancelled"))
                .isEmpty();
    }

    /** Has a coordinator of its own. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anOpenClaimKeepsAnAgentAliveHoweverShortTheTimeout() {
        try (RunningCoordinator strict = RunningCoordinator.start(
                LocalStack.shared(),
                "pull-strict.",
                4,
                "--aitbc.registry.heartbeat-interval=1s",
                "--aitbc.registry.heartbeat-timeout=3s")) {
            strict.post(
                    "/agents/register", "{\"agent_id\":\"strict-1\",\"agent_type\":\"worker\",\"delivery\":\"pull\"}");

            assertThat(assignments(claim(strict, "strict-1", body(1, 8)))).isEmpty();

            assertThat(strict.get("/agents/strict-1").body().at("/agent/status").asString())
                    .isEqualTo("active");
        }
    }

    /** Their assignments are found in one pass over the shared topic. */
    @Test
    void attemptsOfManyAgentsAreRequeuedAtTheirDeadline() {
        List<String> crowd = Stream.iterate(0, i -> i + 1)
                .limit(20)
                .map(i -> "vanishing-" + i)
                .toList();
        List<String> taskIds = new ArrayList<>();
        for (String agentId : crowd) {
            register(agentId, 1);
            taskIds.add(one.submit(
                    "{\"task_data\":{},\"timeout_seconds\":3,\"requirements\":{\"agent_id\":\"" + agentId + "\"}}"));
            claimOne(one, agentId, body(1, 20));
        }

        await().atMost(LONG)
                .until(() -> taskIds.stream()
                        .map(taskId -> one.get("/tasks/" + taskId).body())
                        .allMatch(task -> task.get("status").asString().equals("queued")
                                && task.get("attempt").asInt() == 2));
        String next =
                claimOne(one, crowd.get(0), body(1, 20)).get("assignment_id").asString();
        assertThat(next).isEqualTo(taskIds.get(0) + ":2");
    }

    @Test
    void aFailedAttemptComesAgainAsTheNextOne() {
        register("unlucky", 1);
        String taskId = submitTo("unlucky");
        assertThat(report(claimOne(one, "unlucky", body(1, 20)), "failed").code())
                .isEqualTo(202);

        JsonNode second = claimOne(one, "unlucky", body(1, 20));

        assertThat(second.get("assignment_id").asString()).isEqualTo(taskId + ":2");
        assertThat(report(second, "completed").code()).isEqualTo(202);
        one.awaitTask(taskId, "completed");
        assertThat(claim(one, "unlucky", body(1, 0)).body().get("cancelled"))
                .as("it knows how its attempts ended")
                .isEmpty();
    }

    /** What was reserved stays reserved, and is served again: its agent may never have received it. */
    @Test
    void nothingIsLostWhenRedisIsEmptied() {
        register("survivor", 3);
        List<String> taskIds =
                Stream.generate(() -> submitTo("survivor")).limit(2).toList();
        JsonNode done = claimOne(one, "survivor", body(1, 20));
        JsonNode held = claimOne(one, "survivor", body(1, 20).set("received", Json.tree(ids(List.of(done)))));
        assertThat(report(done, "completed").code()).isEqualTo(202);
        one.awaitTask(done.get("task_id").asString(), "completed");

        one.part(Redis.class).sync().flushdb();

        List<JsonNode> again = new ArrayList<>();
        await().atMost(Duration.ofSeconds(90)).until(() -> {
            Answer answer = claim(other, "survivor", body(3, 1));
            if (answer.code() == 200) {
                again.addAll(assignments(answer));
            }
            return !again.isEmpty();
        });
        assertThat(again).containsExactly(held);
        assertThat(taskIds).contains(again.get(0).get("task_id").asString());
        assertThat(report(held, "completed").code()).isEqualTo(202);
        one.awaitTask(held.get("task_id").asString(), "completed");
    }

    /** The committed offset of the shared topic stays at the first assignment that is not settled. Has coordinators of its own. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aCoordinatorThatStartsOnAnEmptiedRedisServesWhatWasNotSettled() {
        String[] settings = {"--aitbc.settle.retry-backoff=10ms", "--aitbc.topics.partitions=1"};
        JsonNode held;
        try (RunningCoordinator before = RunningCoordinator.start(LocalStack.shared(), "pull-again.", 3, settings)) {
            before.post(
                    "/agents/register",
                    "{\"agent_id\":\"puller\",\"agent_type\":\"worker\",\"delivery\":\"pull\",\"capacity\":10}");
            complete(before, claimNext(before));
            held = claimNext(before);
            complete(before, claimNext(before, held));
            await().atMost(LONG).until(() -> committed(before) == 1);
            before.part(Redis.class).sync().flushdb();
        }
        try (RunningCoordinator after = RunningCoordinator.start(LocalStack.shared(), "pull-again.", 3, settings)) {
            assertThat(claimOne(after, "puller", body(10, 20))).isEqualTo(held);
            complete(after, held);
            await().atMost(LONG).until(() -> committed(after) == 3);
        }
    }

    private static JsonNode claimNext(RunningCoordinator at, JsonNode... held) {
        at.submit("{\"task_data\":{}}");
        return claimOne(at, "puller", body(1, 20).set("received", Json.tree(ids(List.of(held)))));
    }

    private static void complete(RunningCoordinator at, JsonNode assignment) {
        String taskId = assignment.get("task_id").asString();
        ObjectNode result = RunningCoordinator.result(assignment, "completed").put("result", "done");
        assertThat(at.post("/tasks/" + taskId + "/results", Json.text(result)).code())
                .isEqualTo(202);
        at.awaitTask(taskId, "completed");
    }

    private static long committed(RunningCoordinator coordinator) throws Exception {
        OffsetAndMetadata offset = coordinator
                .part(Admin.class)
                .listConsumerGroupOffsets(coordinator.topics().deliveryGroup())
                .partitionsToOffsetAndMetadata()
                .get()
                .get(new TopicPartition(coordinator.topics().sharedAssignments(), 0));
        return offset == null ? -1 : offset.offset();
    }

    /** As when a process is replaced by another with the same id: the one that stops must not end the service of both. */
    @Test
    void anInstanceThatStopsDoesNotDeregisterAnother() {
        register("rolling", 2);
        String held = submitTo("rolling");
        JsonNode assignment = claimOne(one, "rolling", body(1, 20).put("instance_id", "old"));
        CompletableFuture<Answer> open = CompletableFuture.supplyAsync(
                () -> claim(other, "rolling", body(1, 20).put("instance_id", "new")));
        awaitOpenSlots("rolling", 1);

        Answer refused = one.send("DELETE", "/agents/rolling?instance_id=old", null);

        assertThat(refused.code()).isEqualTo(409);
        assertThat(refused.detail()).isEqualTo("another instance of agent rolling has an open claim or an assignment");
        String next = submitTo("rolling");
        assertThat(assignments(open.join()).get(0).get("task_id").asString()).isEqualTo(next);
        assertThat(one.send("DELETE", "/agents/rolling?instance_id=old", null).code())
                .as("the new instance holds an assignment")
                .isEqualTo(409);
        assertThat(report(assignment, "completed").code()).isEqualTo(202);
        one.awaitTask(held, "completed");
        assertThat(one.send("DELETE", "/agents/rolling?instance_id=new", null).code())
                .isEqualTo(200);
    }

    /** Whoever may write to the topic could otherwise stop the delivery to all agents over HTTP. */
    @ParameterizedTest
    @ValueSource(strings = {"{\"a\":1e2147483648}", "no json", "[]", "{\"type\":\"cancellation\"}", "null"})
    void anUnreadableRecordAmongTheAssignmentsIsSkipped(String record) {
        one.publish("assignments.shared", "skipper", record);
        register("skipper", 1);
        String taskId = submitTo("skipper");
        JsonNode assignment = claimOne(one, "skipper", body(1, 20));
        assertThat(assignment.get("task_id").asString()).isEqualTo(taskId);
        assertThat(report(assignment, "completed").code()).isEqualTo(202);
        one.awaitTask(taskId, "completed");
    }

    /** While Redis is being rebuilt, a report is answered with 503, so that the agent retries it instead of dropping the result. */
    @Test
    void aReportIsNotLostWhileRedisIsRestored() {
        register("reporter", 1);
        String taskId = submitTo("reporter");
        JsonNode assignment = claimOne(one, "reporter", body(1, 20));

        one.part(Redis.class).sync().flushdb();

        Set<Integer> codes = new LinkedHashSet<>();
        await().atMost(LONG).until(() -> {
            codes.add(report(assignment, "completed").code());
            return codes.contains(202);
        });
        assertThat(codes).containsExactly(503, 202);
        one.awaitTask(taskId, "completed");
    }

    @Test
    void noTopicIsCreated() throws Exception {
        register("topicless", 1);
        one.register("with-topic", 1, "with-topic");
        assertThat(one.part(Admin.class).listTopics().names().get())
                .contains("pull.assignments.with-topic", "pull.assignments.shared")
                .doesNotContain("pull.assignments.topicless");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "nobody | {} | 404 | not found",
                "by-kafka | {} | 409 | register it with delivery pull",
                "asker | {\"max\":0} | 422 | max must be from 1 to 1000",
                "asker | {\"wait_seconds\":61} | 422 | wait_seconds must be from 0 to 60",
                "asker | {\"instance_id\":\"a b\"} | 422 | instance_id must be 1 to 200 characters",
                "asker | {\"received\":[\"\"]} | 422 | received",
            })
    void badClaimsAreRefused(String agentId, String body, int code, String detail) {
        register("asker", 1);
        one.register("by-kafka", 1, "by-kafka");
        Answer answer = one.post("/agents/" + agentId + "/assignments/claim", body);
        assertThat(answer.code()).isEqualTo(code);
        assertThat(answer.detail()).containsIgnoringCase(detail);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"agent_id\":\"x\",\"agent_type\":\"worker\",\"delivery\":\"pigeon\"} | Invalid delivery: pigeon (one of kafka, pull, push)",
                "{\"agent_id\":\"shared\",\"agent_type\":\"worker\"} | agent_id must not be \"shared\"",
            })
    void badRegistrationsAreRefused(String body, String detail) {
        Answer answer = one.post("/agents/register", body);
        assertThat(answer.code()).isEqualTo(422);
        assertThat(answer.detail()).contains(detail);
    }
}

package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import tools.jackson.databind.JsonNode;

/** Redis is emptied under load and rebuilt from Kafka: no agent exceeds its capacity, and no agent loses its tasks. */
@Execution(ExecutionMode.CONCURRENT)
class RebuildTest {
    private static final Duration LONG = Duration.ofMinutes(2);
    private static final int AGENTS = 50;
    private static final int CAPACITY = 200;

    private static LocalStack stack;
    private static final AtomicInteger TESTS = new AtomicInteger();
    /** Those that no test uses now. */
    private static final Queue<Integer> DATABASES =
            IntStream.range(0, 16).boxed().collect(Collectors.toCollection(ConcurrentLinkedQueue::new));

    private int database;
    private String prefix;
    private RunningCoordinator coordinator;
    private RedisClient client;
    private RedisCommands<String, String> redis;
    private KafkaProducer<String, byte[]> producer;

    @BeforeAll
    static void startStack() {
        stack = LocalStack.start();
    }

    @AfterAll
    static void stopStack() {
        stack.close();
    }

    @BeforeEach
    void start() {
        int number = TESTS.incrementAndGet();
        prefix = "test-" + number + ".";
        database = DATABASES.remove();
        client = RedisClient.create(stack.redisUrl() + "/" + database);
        redis = client.connect().sync();
        redis.flushdb();
        // The agents of these tests send a single heartbeat, however long the test takes.
        coordinator = coordinator("--aitbc.registry.heartbeat-timeout=10m");
        producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers()),
                new StringSerializer(),
                new ByteArraySerializer());
    }

    private RunningCoordinator coordinator(String... settings) {
        return RunningCoordinator.start(stack, prefix, database, settings);
    }

    @AfterEach
    void end() {
        producer.close();
        client.shutdown();
        coordinator.close();
        DATABASES.add(database);
    }

    /** Definitions come back from Kafka, what live attempts hold with them, and of a budget what was noted. */
    @Test
    void limitsHoldAlthoughRedisWasEmptied() {
        coordinator.register("agent", 50);
        String places = "{\"concurrency\":2,\"applies_to\":{\"fairness_key\":\"*\"}}";
        assertThat(coordinator.send("PUT", "/limits/places/*", places).code()).isEqualTo(200);
        String budget = "{\"budget\":{\"units\":10,\"per\":\"month\"}}";
        assertThat(coordinator.send("PUT", "/limits/budget", budget).code()).isEqualTo(200);
        for (int i = 0; i < 5; i++) {
            coordinator.submit("{\"task_data\":{},\"fairness_key\":\"acme\"}");
        }
        for (int i = 0; i < 20; i++) {
            coordinator.submit("{\"task_data\":{},\"uses\":{\"budget\":1}}");
        }
        List<JsonNode> before = coordinator.awaitRecords("assignments.agent", 12);
        await().atMost(LONG).until(() -> waiting("places/acme") == 3 && waiting("budget") == 10);
        String rate = "{\"rate\":{\"units\":10,\"per_seconds\":1000,\"burst\":10}}";
        assertThat(coordinator.send("PUT", "/limits/slow", rate).code()).isEqualTo(200);

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        // What reservations take for granted: all that was noted is spent, and a bucket is empty.
        assertThat(coordinator
                        .get("/limits/budget")
                        .body()
                        .at("/limit/budget/spent")
                        .asInt())
                .isEqualTo(10);
        assertThat(coordinator.get("/limits/slow").body().at("/limit/room").asInt())
                .isZero();
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/limits/places/acme")
                                .body()
                                .at("/limit/in_use")
                                .asInt()
                        == 2);
        // Assigned after all that the rebuild makes possible.
        String last = coordinator.submit("{\"task_data\":{}}");
        coordinator.awaitTask(last, "assigned");
        await().atMost(LONG).until(() -> waiting("places/acme") == 3 && waiting("budget") == 10);
        assertThat(coordinator.awaitRecords("assignments.agent", 13)).hasSize(13);

        JsonNode holder = before.stream()
                .filter(one -> one.has("applied_limits"))
                .findFirst()
                .orElseThrow();
        coordinator.report(holder, "completed", null);
        JsonNode next = coordinator.awaitRecords("assignments.agent", 14).get(13);
        assertThat(next.at("/uses").toString()).isEqualTo("{\"places/acme\":1}");
    }

    @Test
    void whatAttemptsTakeOfResourcesIsRestored() {
        String registration = "{\"agent_id\":\"has\",\"agent_type\":\"worker\",\"resources\":{\"gpu\":1}}";
        assertThat(coordinator.post("/agents/register", registration).code()).isEqualTo(200);
        coordinator.reach("has");
        String half = "{\"task_data\":{},\"requirements\":{\"resources\":{\"gpu\":0.4}}}";
        IntStream.range(0, 3).forEach(i -> coordinator.submit(half));
        List<JsonNode> before = coordinator.awaitRecords("assignments.has", 2);

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/agents/has")
                        .body()
                        .at("/agent/resources_in_use/gpu")
                        .asString("")
                        .equals("0.8"));
        // Assigned after all that the rebuild makes possible.
        coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");
        assertThat(coordinator.awaitRecords("assignments.has", 3)).hasSize(3);
        coordinator.report(before.get(0), "completed", null);
        JsonNode next = coordinator.awaitRecords("assignments.has", 4).get(3);
        assertThat(next.at("/requirements/resources/gpu").asString("")).isEqualTo("0.4");
    }

    private int waiting(String limit) {
        return coordinator.get("/limits/" + limit).body().at("/limit/waiting").asInt();
    }

    @Test
    void tenThousandInFlightTasksAreRestored() {
        IntStream.range(0, AGENTS).forEach(i -> send("agents.heartbeat", "agent-" + i, """
                {"agent_id":"agent-%d","registration":{"agent_id":"agent-%d","agent_type":"worker","capacity":%d}}
                """.formatted(i, i, CAPACITY)));
        await().atMost(LONG).until(() -> redis.scard("agents:active") == AGENTS);
        int tasks = AGENTS * CAPACITY + 500;
        IntStream.range(0, tasks)
                .forEach(i -> send("tasks.normal", "t-" + i, "{\"task_id\":\"t-" + i + "\",\"task_data\":{}}"));
        await().atMost(LONG).until(() -> inflight() == AGENTS * CAPACITY && size() == 500);
        Map<String, Assignment> first = assignments();

        redis.flushdb();

        await().atMost(Duration.ofSeconds(90)).until(() -> inflight() == AGENTS * CAPACITY);
        assertThat(redis.scard("agents:active")).isEqualTo(AGENTS);
        // The waiting tasks have no free slots yet, but queries find them.
        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1 && size() == 500);
        assertThat(assignments()).isEqualTo(first);
        String waiting = IntStream.range(0, tasks)
                .mapToObj(i -> "t-" + i)
                .filter(id ->
                        first.values().stream().noneMatch(one -> one.taskId().equals(id)))
                .findFirst()
                .orElseThrow();
        coordinator.awaitTask(waiting, "queued");

        first.values().forEach(this::complete);
        await().atMost(LONG).until(() -> assignments().size() == tasks);
        Map<String, Assignment> all = assignments();
        all.keySet().removeAll(first.keySet());
        all.values().forEach(this::complete);
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/tasks/status")
                                .body()
                                .at("/stats/tasks_completed")
                                .asInt()
                        == tasks);
        assertThat(inflight()).isZero();
        assertThat(assignments().values()).allMatch(assignment -> assignment.attempt() == 1);
    }

    /** Attempts already reported or requeued are not in flight. */
    @Test
    void attemptsWithAResultAreNotRestored() {
        coordinator.register("agent", 5);
        coordinator.register("drained", 5);
        coordinator.send("PUT", "/agents/drained/status", "{\"status\":\"maintenance\"}");
        String done = coordinator.submit("{\"task_data\":{},\"task_id\":\"done\"}");
        coordinator.report(coordinator.awaitRecords("assignments.agent", 1).get(0), "completed", null);
        coordinator.awaitTask(done, "completed");
        String failed = coordinator.submit("{\"task_data\":{},\"task_id\":\"fails\",\"max_attempts\":2}");
        coordinator.report(coordinator.awaitRecords("assignments.agent", 2).get(1), "failed", "once");
        JsonNode second = coordinator.awaitRecords("assignments.agent", 3).get(2);
        assertThat(second.get("assignment_id").asString()).isEqualTo("fails:2");

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(redis.hkeys("agent:agent:inflight")).containsExactly("fails");
        JsonNode again = coordinator.get("/tasks/done").body();
        assertThat(again.path("status").asString("")).isEqualTo("completed");
        assertThat(again.at("/result/done").asBoolean()).isTrue();
        assertThat(coordinator.awaitTask(failed, "assigned").get("attempt").asInt())
                .isEqualTo(2);
        assertThat(coordinator.get("/agents/agent").body().at("/agent/capacity").asInt())
                .isEqualTo(5);
        assertThat(coordinator.get("/agents/drained").body().at("/agent/status").asString())
                .isEqualTo("maintenance");
    }

    /** The topic of a dead agent holds tasks completed by others since, and cancelled tasks. */
    @Test
    void attemptsSupersededOrCancelledAreNotRestored() {
        coordinator.register("died", 5);
        String moved = coordinator.submit("{\"task_data\":{},\"task_id\":\"moved\"}");
        String cancelled = coordinator.submit("{\"task_data\":{},\"task_id\":\"cancelled\"}");
        coordinator.awaitRecords("assignments.died", 2);
        assertThat(coordinator.post("/tasks/" + cancelled + "/cancel", "").code())
                .isEqualTo(200);
        coordinator.awaitRecords("assignments.died", 3);
        coordinator.send("DELETE", "/agents/died", null);
        coordinator.register("heir", 5);
        JsonNode again = coordinator.awaitRecords("assignments.heir", 1).get(0);
        assertThat(again.get("assignment_id").asString()).isEqualTo("moved:2");
        coordinator.report(again, "completed", null);
        coordinator.awaitTask(moved, "completed");
        String still = coordinator.submit("{\"task_data\":{},\"task_id\":\"still\"}");
        coordinator.awaitTask(still, "assigned");

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(redis.hkeys("agent:died:inflight")).isEmpty();
        assertThat(redis.hkeys("agent:heir:inflight")).containsExactly("still");
        assertThat(coordinator.get("/agents/died").code()).isEqualTo(404);
    }

    /**
     * A coordinator that was paused had been granted reservations before, and published the assignments after the rebuild had read
     * everything. Results received by then were ignored, because the attempts were unknown, and the agent has committed their assignments.
     */
    @Test
    void assignmentsPublishedTooLateForTheRebuildAreFound() throws Exception {
        coordinator.register("agent", 5);
        coordinator.submit("{\"task_data\":{},\"task_id\":\"first\"}");
        String given = coordinator.awaitRecords("assignments.agent", 1).get(0).toString();

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        for (String late : List.of("completed", "failed", "silent")) {
            send("assignments.agent", late, given.replace("first", late));
        }
        for (TaskResult.Status status : List.of(TaskResult.Status.COMPLETED, TaskResult.Status.FAILED)) {
            Assignment late = Json.read(given.replace("first", status.wireName()), Assignment.class);
            send("tasks.results", late.taskId(), Json.text(TaskResult.of(late, status, null, null, null, null)));
        }
        await().atMost(LONG)
                .until(() -> coordinator.text("/metrics").contains("coordinator_unknown_results_total 2.0"));
        commitForAgent(3);

        // The failed one is requeued at its deadline.
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(redis.hkeys("agent:agent:inflight"))
                        .containsExactlyInAnyOrder("first", "failed", "silent"));
        coordinator.awaitTask("completed", "completed");
        coordinator.follow(
                "tasks.events", 0, event -> !event.get("id").asString().equals("completed:1:completed"));
        coordinator.report(coordinator.awaitRecords("assignments.agent", 4).get(3), "completed", null);
        coordinator.awaitTask("silent", "completed");
        assertThat(redis.hkeys("agent:agent:inflight")).containsExactlyInAnyOrder("first", "failed");
    }

    /**
     * A coordinator died before it committed the offsets of its queues. What it had assigned ended, and its agent committed that too. Redis is
     * emptied before another coordinator takes the queues over.
     */
    @Test
    void tasksThatEndedButWereNotCommittedInTheirQueueAreNotExecutedAgain() throws Exception {
        coordinator.register("agent", 5);
        coordinator.submit("{\"task_data\":{},\"task_id\":\"ended\"}");
        coordinator.report(coordinator.awaitRecords("assignments.agent", 1).get(0), "completed", null);
        coordinator.awaitTask("ended", "completed");
        coordinator.submit("{\"task_data\":{},\"task_id\":\"requeued\"}");
        coordinator.report(RunningCoordinator.result(
                        coordinator.awaitRecords("assignments.agent", 2).get(1), "failed")
                .put("error", "quota")
                .put("retry_after_seconds", 600));
        coordinator.awaitTask("requeued", "queued");
        coordinator.submit("{\"task_data\":{},\"task_id\":\"dead\",\"max_attempts\":1}");
        coordinator.report(coordinator.awaitRecords("assignments.agent", 3).get(2), "failed", "broken");
        coordinator.awaitTask("dead", "failed");
        coordinator.submit("{\"task_data\":{},\"task_id\":\"cancelled\",\"not_before\":\""
                + Instant.now().plusSeconds(600) + "\"}");
        coordinator.awaitTask("cancelled", "queued");
        assertThat(coordinator.post("/tasks/cancelled/cancel", "").code()).isEqualTo(200);
        commitForAgent(3);
        coordinator.close();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()))) {
            String group = prefix + "agent-coordinator";
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            admin.listConsumerGroupOffsets(group)
                    .partitionsToOffsetAndMetadata()
                    .get()
                    .forEach((partition, committed) -> offsets.put(partition, new OffsetAndMetadata(0)));
            assertThat(offsets).isNotEmpty();
            admin.alterConsumerGroupOffsets(group, offsets).all().get();
            // Nor has the ledger been written.
            admin.deleteTopics(List.of(prefix + "coordinator.ledger")).all().get();
        }

        redis.flushdb();
        coordinator = coordinator("--aitbc.registry.heartbeat-timeout=10m");

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(coordinator.get("/tasks/ended").body().path("status").asString(""))
                .isEqualTo("completed");
        JsonNode requeued = coordinator.get("/tasks/requeued").body();
        assertThat(requeued.path("status").asString("")).isEqualTo("queued");
        assertThat(requeued.path("attempt").asInt()).isEqualTo(2);
        assertThat(requeued.path("error").asString("")).isEqualTo("quota");
        // Only the next attempt waits.
        await().atMost(LONG).until(() -> size() == 1);
        assertThat(coordinator.get("/tasks/dead").body().path("status").asString(""))
                .isEqualTo("failed");
        assertThat(coordinator.get("/tasks/cancelled").body().path("status").asString(""))
                .isEqualTo("cancelled");
        assertThat(coordinator.written("assignments.agent")).isEqualTo(3);
    }

    /** The result of the first attempt came after the second had failed for good. */
    @Test
    void aLateResultIsNotTheOutcomeAfterARebuild() throws Exception {
        coordinator.register("agent", 5);
        coordinator.submit("{\"task_data\":{},\"task_id\":\"late\",\"timeout_seconds\":1,\"max_attempts\":2}");
        List<JsonNode> attempts = coordinator.awaitRecords("assignments.agent", 2);
        Assignment first = Json.read(attempts.get(0), Assignment.class);
        Assignment second = Json.read(attempts.get(1), Assignment.class);
        TaskResult failed =
                TaskResult.of(second, TaskResult.Status.FAILED, null, Json.tree("a bad prompt"), null, null);
        send("tasks.results", "late", Json.text(failed.notRetryable()));
        coordinator.awaitTask("late", "failed");
        complete(first);
        await().atMost(LONG).until(() -> coordinator.text("/metrics").contains("coordinator_late_results_total 1.0"));
        commitForAgent(2);

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(coordinator.get("/tasks/late").body().path("status").asString(""))
                .isNotEqualTo("completed");
    }

    /** Anyone may write results: one by an agent that never had the attempt, or for an attempt that never existed, ends nothing. */
    @Test
    void resultsFromOtherAgentsEndNothing() {
        coordinator.register("agent", 5);
        for (String idle : List.of("another", "new")) {
            coordinator.register(idle, 5);
            coordinator.send("PUT", "/agents/" + idle + "/status", "{\"status\":\"maintenance\"}");
        }
        // The topic of "another" is older than the result, and has no such assignment.
        send("assignments.another", "any", "{}");
        for (String id : List.of("same", "later", "stranger", "elsewhere")) {
            coordinator.submit("{\"task_data\":{},\"task_id\":\"" + id + "\"}");
        }
        List<Assignment> given = coordinator.awaitRecords("assignments.agent", 4).stream()
                .map(one -> Json.read(one, Assignment.class))
                .toList();
        for (Assignment one : given) {
            String agent = Map.of("stranger", "stranger", "elsewhere", "new").getOrDefault(one.taskId(), "another");
            int attempt = Set.of("later", "elsewhere").contains(one.taskId()) ? 2 : 1;
            send(
                    "tasks.results",
                    one.taskId(),
                    Json.text(new TaskResult(
                            null, one.taskId(), attempt, agent, TaskResult.Status.COMPLETED, null, null, null, null)));
        }
        await().atMost(LONG).until(() -> coordinator.text("/metrics").contains("coordinator_late_results_total 4.0"));

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(redis.hkeys("agent:agent:inflight")).containsExactlyInAnyOrder("same", "later", "stranger");
        // The topic of "new" may have been re-created since: the result may belong to an assignment in the old one.
        given.stream().filter(one -> !one.taskId().equals("elsewhere")).forEach(one -> {
            complete(one);
            coordinator.awaitTask(one.taskId(), "completed");
        });
    }

    /** The last attempt ended without a result, so the agent never committed it. */
    @Test
    void deadLetteredAttemptsAreNotRestored() {
        coordinator.register("silent", 5);
        coordinator.submit("{\"task_data\":{},\"task_id\":\"overdue\",\"timeout_seconds\":1,\"max_attempts\":1}");
        coordinator.submit("{\"task_data\":{},\"task_id\":\"held\"}");
        coordinator.awaitTask("overdue", "failed");
        // Anyone can write this record, and it must not stop the rebuild.
        ProducerRecord<String, byte[]> forged =
                new ProducerRecord<>(prefix + "tasks.dead-letter", "held", "no task".getBytes());
        forged.headers().add("reason", "attempts_exhausted".getBytes());
        producer.send(forged);
        producer.send(new ProducerRecord<>(prefix + "tasks.dead-letter", "held", null));
        producer.flush();

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(redis.hkeys("agent:silent:inflight")).containsExactly("held");
    }

    @Test
    void aWaitingTaskWithACorruptKeyIsRestored() {
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        coordinator.awaitTask(id, "queued");
        redis.del("task:" + id);
        redis.set("task:" + id, "x");
        await().atMost(LONG).until(() -> coordinator.get("/tasks/" + id).code() == 404);
        coordinator.awaitTask(id, "queued");
        assertThat(coordinator.post("/tasks/" + id + "/cancel", "").code()).isEqualTo(200);
    }

    /** The pending search for attempts that a rebuild missed does not replace the one after a corrupt key. */
    @Test
    void aWaitingTaskWhoseKeyIsCorruptedSoonAfterARebuildIsRestored() {
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        coordinator.awaitTask(id, "queued");
        redis.flushdb();
        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        coordinator.awaitTask(id, "queued");

        redis.del("task:" + id);
        redis.set("task:" + id, "x");

        await().atMost(LONG).until(() -> coordinator.get("/tasks/" + id).code() == 404);
        coordinator.awaitTask(id, "queued");
    }

    /** A cancellation may overtake its assignment; one for an earlier task with the same id does not count. */
    @Test
    void aCancellationAppliesToTheAssignmentThatItWasMadeFor() {
        coordinator.register("agent", 5);
        coordinator.submit("{\"task_data\":{},\"task_id\":\"first\"}");
        Assignment given =
                Json.read(coordinator.awaitRecords("assignments.agent", 1).get(0), Assignment.class);
        for (String id : List.of("overtaken", "again")) {
            Duration after = id.equals("overtaken") ? Duration.ofSeconds(1) : Duration.ofSeconds(-1);
            Instant cancelledAt = given.assignedAt().plus(after);
            send("assignments.agent", id, Json.text(Cancellation.of(id, 1, "agent", cancelledAt)));
            send("assignments.agent", id, Json.text(given).replace("first", id));
        }
        producer.flush();

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(redis.hkeys("agent:agent:inflight")).containsExactlyInAnyOrder("first", "again");
    }

    /** Both keys with the attempt were overwritten, so its result was ignored. */
    @Test
    void aResultReceivedWhileItsTaskWasCorruptIsNotForgotten() throws Exception {
        coordinator.register("agent", 5);
        coordinator.submit("{\"task_data\":{},\"task_id\":\"corrupt\",\"timeout_seconds\":5}");
        Assignment given =
                Json.read(coordinator.awaitRecords("assignments.agent", 1).get(0), Assignment.class);
        redis.multi();
        redis.set("agent:agent:inflight", "x");
        redis.set("task:corrupt", "x");
        redis.exec();
        send(
                "tasks.results",
                "corrupt",
                Json.text(TaskResult.of(given, TaskResult.Status.FAILED, null, null, null, null)));
        await().atMost(LONG)
                .until(() -> coordinator.text("/metrics").contains("coordinator_unknown_results_total 1.0"));
        commitForAgent(1);

        JsonNode again = coordinator.awaitRecords("assignments.agent", 2).get(1);
        assertThat(again.get("assignment_id").asString()).isEqualTo("corrupt:2");
    }

    private void commitForAgent(long offset) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()))) {
            admin.alterConsumerGroupOffsets(
                            prefix + "agent.agent",
                            Map.of(new TopicPartition(prefix + "assignments.agent", 0), new OffsetAndMetadata(offset)))
                    .all()
                    .get();
        }
    }

    /** An agent that died before the rebuild becomes stale as usual, or is not restored if it has been silent for that long. */
    @Test
    void tasksOfAnAgentThatDoesNotReturnAreReassigned() {
        coordinator.close();
        coordinator = coordinator("--aitbc.registry.heartbeat-interval=1s", "--aitbc.registry.heartbeat-timeout=4s");
        // The task waits for the agent, not the agent for the task: it is silent from now on.
        String id = coordinator.submit("{\"task_data\":{}}");
        coordinator.register("dead", 1);
        coordinator.awaitRecords("assignments.dead", 1);

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        await().atMost(LONG).until(() -> redis.zscore("agents:heartbeats", "dead") == null);
        assertThat(redis.hget("agent:dead", "status")).isIn("stale", null);
        coordinator.register("living", 1);
        await().atMost(LONG).until(() -> {
            coordinator.post("/agents/living/heartbeat", "{}");
            return redis.hexists("agent:living:inflight", id);
        });
        JsonNode again = coordinator.awaitRecords("assignments.living", 1).get(0);
        assertThat(again.get("assignment_id").asString()).isEqualTo(id + ":2");
        coordinator.post("/agents/living/heartbeat", "{}");
        coordinator.report(again, "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    /** An aborted result was never reported: the attempt is live, occupies a slot of its agent, and is requeued with it. */
    @Test
    void anAttemptWhoseResultWasAbortedIsRestored() {
        coordinator.register("agent", 2);
        coordinator.submit("{\"task_data\":{},\"task_id\":\"one\"}");
        coordinator.submit("{\"task_data\":{},\"task_id\":\"two\"}");
        Assignment one =
                Json.read(coordinator.awaitRecords("assignments.agent", 2).get(0), Assignment.class);
        try (KafkaProducer<String, byte[]> agent = new KafkaProducer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers(), "transactional.id", "agent"),
                new StringSerializer(),
                new ByteArraySerializer())) {
            agent.initTransactions();
            agent.beginTransaction();
            agent.send(new ProducerRecord<>(prefix + "tasks.results", one.taskId(), result(one)));
            agent.flush();
            agent.abortTransaction();
        }

        redis.flushdb();

        await().atMost(LONG).until(() -> redis.exists("index:complete") == 1);
        assertThat(redis.hkeys("agent:agent:inflight")).containsExactlyInAnyOrder("one", "two");
    }

    /** The agent has committed the assignment, and its result is unread: the only trace of the outcome. */
    @Test
    void anUnreadResultCountsAfterTheRebuild() throws Exception {
        coordinator.register("agent", 5);
        String id = coordinator.submit("{\"task_data\":{},\"task_id\":\"unread\"}");
        Assignment given =
                Json.read(coordinator.awaitRecords("assignments.agent", 1).get(0), Assignment.class);
        // As with an empty Redis, nothing is settled.
        redis.set("index:rebuilding", "somebody else");
        redis.del("index:complete");
        send("tasks.results", id, new String(result(given)));
        commitForAgent(1);

        redis.flushdb();

        assertThat(coordinator.awaitTask(id, "completed").get("attempt").asInt())
                .isEqualTo(1);
        assertThat(redis.hkeys("agent:agent:inflight")).isEmpty();
    }

    /** The whole batch is retried until Redis is complete, but dead letters are not repeated, because people read them. */
    @Test
    void aMalformedResultIsDeadLetteredOnceHoweverOftenItsBatchIsRetried() {
        coordinator.register("agent", 5);
        String id = coordinator.submit("{\"task_data\":{},\"task_id\":\"sound\"}");
        Assignment given =
                Json.read(coordinator.awaitRecords("assignments.agent", 1).get(0), Assignment.class);
        redis.set("index:rebuilding", "somebody else");
        redis.del("index:complete");
        send("tasks.results", id, new String(result(given)));
        send("tasks.results", id, "malformed result");
        producer.flush();
        long failed = failedScripts();
        await().atMost(LONG).until(() -> failedScripts() >= failed + 3);

        IndexMark.set(redis, Instant.ofEpochMilli(1));

        coordinator.awaitTask(id, "completed");
        send("tasks.results", id, "the next one");
        await().atMost(LONG).until(() -> deadLetters().contains("the next one"));
        assertThat(deadLetters().split("malformed result", -1)).hasSize(2);
    }

    /** Returns the number of failed script calls; all calls fail while the index is incomplete. */
    private long failedScripts() {
        return redis.info("commandstats")
                .lines()
                .filter(line -> line.startsWith("cmdstat_evalsha:"))
                .mapToLong(line -> Long.parseLong(line.replaceFirst(".*failed_calls=", "")))
                .sum();
    }

    private String deadLetters() {
        return coordinator.get("/tasks/dead-letter?limit=100").body().toString();
    }

    @Test
    void nothingIsReservedOrCancelledDuringARebuild() {
        coordinator.register("agent", 5);
        String held = coordinator.submit("{\"task_data\":{}}");
        coordinator.awaitTask(held, "assigned");
        // Another coordinator holds the rebuild lock and makes no progress.
        redis.set("index:rebuilding", "long ago");
        redis.del("index:complete");
        String id = coordinator.submit("{\"task_data\":{}}");
        RunningCoordinator.Answer refused = coordinator.post("/tasks/" + held + "/cancel", "");
        assertThat(refused.code()).isEqualTo(503);
        assertThat(refused.detail()).contains("assignments are being restored from Kafka");
        assertThat(redis.hkeys("agent:agent:inflight")).containsExactly(held);
        assertThat(coordinator.get("/health").code()).isEqualTo(503);
        assertThat(coordinator.get("/health").body().at("/dispatch/detail").asString())
                .contains("rebuilding Redis from Kafka");
        redis.del("index:rebuilding");
        coordinator.awaitTask(id, "assigned");
        assertThat(coordinator.post("/tasks/" + held + "/cancel", "").code()).isEqualTo(200);
    }

    private void send(String topic, String key, String value) {
        producer.send(new ProducerRecord<>(prefix + topic, key, value.getBytes()));
    }

    private void complete(Assignment assignment) {
        producer.send(new ProducerRecord<>(prefix + "tasks.results", assignment.taskId(), result(assignment)));
    }

    private static byte[] result(Assignment assignment) {
        return Json.bytes(TaskResult.of(assignment, TaskResult.Status.COMPLETED, null, null, null, null));
    }

    /** Another coordinator was updated, and this one was left behind. */
    @Test
    void aNewerFormatIsReportedAndNothingIsWritten() {
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        coordinator.awaitTask(id, "queued");
        String mark = redis.get("index:complete");
        String record = redis.get("task:" + id);
        redis.set("index:complete", "3 1");
        try {
            RunningCoordinator.Answer refused = coordinator.post("/tasks/" + id + "/cancel", "");
            assertThat(refused.code()).isEqualTo(503);
            assertThat(refused.detail()).contains("the data of a newer version of the coordinator");
            assertThat(coordinator.get("/health").body().at("/dispatch/detail").asString())
                    .isEqualTo(
                            "Redis: it holds the data of a newer version of the coordinator, which this one cannot read");
            assertThat(redis.get("task:" + id)).isEqualTo(record);
        } finally {
            redis.set("index:complete", mark);
        }
        coordinator.post("/tasks/" + id + "/cancel", "");
        coordinator.awaitTask(id, "cancelled");
    }

    private long inflight() {
        return IntStream.range(0, AGENTS)
                .mapToLong(i -> redis.hlen("agent:agent-" + i + ":inflight"))
                .sum();
    }

    private int size() {
        return coordinator.get("/tasks/queues").body().at("/queue_sizes/normal").asInt();
    }

    /** Returns all assignments ever published to the agents, by assignment id. */
    private Map<String, Assignment> assignments() {
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers()),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = IntStream.range(0, AGENTS)
                    .mapToObj(i -> new TopicPartition(prefix + "assignments.agent-" + i, 0))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Map<String, Assignment> found = new HashMap<>();
            List<TopicPartition> open = new ArrayList<>(partitions);
            while (!open.isEmpty()) {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> {
                    Assignment one = Json.read(record.value(), Assignment.class);
                    found.put(one.assignmentId(), one);
                });
                open.removeIf(partition -> consumer.position(partition) >= ends.get(partition));
            }
            return found;
        }
    }
}

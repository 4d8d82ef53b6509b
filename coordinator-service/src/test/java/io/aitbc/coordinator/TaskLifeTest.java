package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.dispatch.Dispatcher;
import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.StatefulRedisConnection;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** The life of a task from its record to its end, as seen by producers, agents and REST clients. */
class TaskLifeTest {
    private static final int REDIS_DATABASE = 2;
    private static final Duration LONG = Duration.ofSeconds(90);

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(
                LocalStack.shared(), "life.", REDIS_DATABASE, "--aitbc.settle.retry-backoff=50ms");
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    /** Even a bug must not stop dispatch permanently. */
    @Test
    void dispatchSurvivesAnUnexpectedFailure() {
        coordinator.part(Dispatcher.class).post(matcher -> {
            throw new IllegalStateException("on purpose");
        });
        await().atMost(Duration.ofSeconds(90)).until(() -> !dispatchIsUp());
        coordinator.register("after-failure", 1, "after-failure");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"after-failure\"]}}");
        coordinator.awaitTask(id, "assigned");
        assertThat(dispatchIsUp()).isTrue();
    }

    private static boolean dispatchIsUp() {
        return coordinator
                .get("/health")
                .body()
                .at("/dispatch/state")
                .asString()
                .equals("up");
    }

    @Test
    void aTaskFromKafkaReachesItsAgentAndEndsWithTheResult() {
        coordinator.register("kafka-agent", 1, "kafka");
        coordinator.publish(
                "tasks.high",
                null,
                "{\"task_data\":{\"task_id\":\"from-kafka\",\"x\":1},\"requirements\":{\"capabilities\":[\"kafka\"]},"
                        + "\"field_of_tomorrow\":7}");
        JsonNode assignment =
                coordinator.awaitRecords("assignments.kafka-agent", 1).get(0);
        assertThat(assignment.get("assignment_id").asString()).isEqualTo("from-kafka:1");
        assertThat(assignment.get("priority").asString()).isEqualTo("high");
        assertThat(assignment.at("/task_data/x").asInt()).isEqualTo(1);
        assertThat(assignment.get("field_of_tomorrow").asInt()).isEqualTo(7);
        assertThat(coordinator
                        .awaitTask("from-kafka", "assigned")
                        .get("agent_id")
                        .asString())
                .isEqualTo("kafka-agent");
        coordinator.report(assignment, "completed", null);
        JsonNode task = coordinator.awaitTask("from-kafka", "completed");
        assertThat(task.at("/result/done").asBoolean()).isTrue();
        assertThat(task.get("attempt").asInt()).isEqualTo(1);
        assertThat(Instant.parse(task.get("assigned_at").asString()))
                .isBetween(
                        Instant.parse(task.get("submitted_at").asString()),
                        Instant.parse(task.get("finished_at").asString()));
    }

    /** A result of an unknown agent does not affect a task that is submitted later. */
    @Test
    void aResultThatPrecedesItsTaskDoesNotEndIt() {
        double ignored = unknownResults();
        coordinator.publish("tasks.results", "early", """
                {"task_id":"early","assignment_id":"early:1","attempt":1,"agent_id":"stranger","status":"completed","result":{"by":"stranger"}}
                """);
        await().atMost(LONG).until(() -> unknownResults() == ignored + 1);
        assertThat(coordinator.get("/tasks/early").code()).isEqualTo(404);

        coordinator.register("early-agent", 1, "early");
        coordinator.submit("""
                {"task_id":"early","task_data":{},"requirements":{"capabilities":["early"]}}
                """);

        coordinator.report(
                coordinator.awaitRecords("assignments.early-agent", 1).get(0), "completed", null);
        assertThat(coordinator
                        .awaitTask("early", "completed")
                        .at("/result/done")
                        .asBoolean())
                .isTrue();
    }

    private static double unknownResults() {
        return coordinator
                .part(MeterRegistry.class)
                .get("coordinator.unknown.results")
                .counter()
                .count();
    }

    /** The coordinator may choose any of the records, but only one. */
    @Test
    void ofSeveralRecordsOfOneTaskOnlyOneIsAssigned() {
        coordinator.send("POST", "/tasks/queues/critical/pause", "");
        for (int i = 0; i < 4; i++) {
            coordinator.publish("tasks.critical", "repeated", """
                    {"task_id":"repeated","task_data":{"version":%d},"requirements":{"capabilities":["repeated"]}}
                    """.formatted(i));
        }
        coordinator.register("repeated-agent", 10, "repeated");
        coordinator.send("POST", "/tasks/queues/critical/resume", "");
        await().atMost(LONG).until(() -> size("critical") == 0);

        coordinator.submit("""
                {"task_id":"after-repeated","priority":"critical","task_data":{},"requirements":{"capabilities":["repeated"]}}
                """);

        assertThat(coordinator.awaitRecords("assignments.repeated-agent", 2))
                .extracting(assignment -> assignment.get("assignment_id").asString())
                .containsExactly("repeated:1", "after-repeated:1");
    }

    /** A coordinator reserved the task and crashed before publication: the agent is full with a task that it never received. */
    @Test
    void anUnpublishedReservationReachesItsAgentAfterTheDeadline() {
        coordinator.register("haunted-agent", 1, "haunted");
        String past = Instant.now().minusSeconds(5).toString();
        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + REDIS_DATABASE);
                StatefulRedisConnection<String, String> redis = client.connect()) {
            StoredTask.put(
                    redis.sync(),
                    "ghost",
                    Map.of(
                            "status", "assigned",
                            "attempt", "1",
                            "agent_id", "haunted-agent",
                            "assigned_at", past,
                            "timeout_seconds", "1"));
            long ms = Instant.parse(past).toEpochMilli();
            redis.sync().hset("agent:haunted-agent:inflight", "ghost", "1 " + ms + " " + ms + " -");
            coordinator.publish(
                    "tasks.normal",
                    "ghost",
                    "{\"task_id\":\"ghost\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"haunted\"]}}");
            redis.sync().zadd("agents:deadlines", 1, "haunted-agent");
        }
        List<JsonNode> given = coordinator.awaitRecords("assignments.haunted-agent", 2);
        assertThat(given)
                .extracting(assignment -> assignment.get("assignment_id").asString())
                .startsWith("ghost:1", "ghost:2");
        coordinator.report(given.get(1), "completed", null);
        coordinator.awaitTask("ghost", "completed");
    }

    /** An impossible timestamp, and fields that collide with those of an assignment. */
    @Test
    void anUnusualTaskIsAccepted() {
        coordinator.register("strange-agent", 5, "strange");
        coordinator.publish(
                "tasks.low",
                null,
                "{\"task_id\":\"strange\",\"task_data\":{},\"submitted_at\":\"-1000000000-01-01T00:00:00Z\","
                        + "\"type\":\"compute\",\"agent_id\":\"x\",\"deadline\":\"soon\","
                        + "\"requirements\":{\"capabilities\":[\"strange\"]}}");
        JsonNode assignment =
                coordinator.awaitRecords("assignments.strange-agent", 1).get(0);
        assertThat(assignment.has("type")).isFalse();
        assertThat(assignment.get("agent_id").asString()).isEqualTo("strange-agent");
        coordinator.report(assignment, "completed", null);
        coordinator.awaitTask("strange", "completed");
    }

    /** Its tasks have to be looked up in its topic, whose name is invalid in Kafka. */
    @Test
    void anAgentWhoseTopicCannotBeReadDoesNotDelayOthers() {
        coordinator.register("mute-agent", 1, "mute");
        String past = Instant.now().minusSeconds(5).toString();
        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + REDIS_DATABASE);
                StatefulRedisConnection<String, String> redis = client.connect()) {
            Map<String, String> held =
                    Map.of("status", "assigned", "attempt", "1", "agent_id", "no/topic", "assigned_at", past);
            StoredTask.put(redis.sync(), "unreachable", held);
            redis.sync().hset("agent:no/topic:inflight", "unreachable", "{}");
            redis.sync().zadd("agents:deadlines", 1, "no/topic");
            try {
                String id = coordinator.submit(requiring("mute"));
                coordinator.awaitRecords("assignments.mute-agent", 1);
                coordinator.send("DELETE", "/agents/mute-agent", null);
                coordinator.register("heir-of-mute", 1, "mute");
                assertThat(coordinator.awaitRecords("assignments.heir-of-mute", 1))
                        .extracting(
                                assignment -> assignment.get("assignment_id").asString())
                        .containsExactly(id + ":2");
                assertThat(redis.sync().zscore("agents:deadlines", "no/topic")).isNotNull();
            } finally {
                redis.sync().del("task:unreachable", "agent:no/topic:inflight");
            }
        }
    }

    @Test
    void aCompletedTaskIsDeletedAfterItsRetention() {
        coordinator.register("forgetful-agent", 1, "forgetful");
        String id = coordinator.submit(requiring("forgetful"));
        coordinator.report(
                coordinator.awaitRecords("assignments.forgetful-agent", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");
        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + REDIS_DATABASE);
                StatefulRedisConnection<String, String> redis = client.connect()) {
            redis.sync().lpush("tasks:ended", "0 " + id + ":1");
        }
        await().atMost(Duration.ofSeconds(90))
                .until(() -> coordinator.get("/tasks/" + id).code() == 404);
    }

    /** A result of an unknown agent without a topic does not delay other results. */
    @Test
    void aForgedResultDoesNotDelayOthers() {
        coordinator.register("honest-agent", 1, "honest");
        String id = coordinator.submit(requiring("honest"));
        JsonNode assignment =
                coordinator.awaitRecords("assignments.honest-agent", 1).get(0);
        for (int i = 0; i < 12; i++) {
            coordinator.publish(
                    "tasks.results",
                    "key-" + i,
                    "{\"assignment_id\":\"made-up:1\",\"task_id\":\"made-up-" + i
                            + "\",\"attempt\":1,\"agent_id\":\"made-up\",\"status\":\"failed\",\"error\":\"x\"}");
        }
        coordinator.report(assignment, "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    @Test
    void aPoisonRecordWithAnOversizedKeyIsDeadLettered() {
        coordinator.publish("tasks.low", "k".repeat(900_000), "nonsense");
        assertThat(deadLetter("k".repeat(1_000) + "…")).containsEntry("reason", "malformed");
    }

    @Test
    void moreUrgentTasksGoFirst() {
        for (String priority : List.of("low", "normal", "high", "critical", "urgent")) {
            coordinator.submit("{\"task_data\":{},\"task_id\":\"first-" + priority + "\",\"priority\":\"" + priority
                    + "\",\"requirements\":{\"capabilities\":[\"order\"]}}");
        }
        awaitWaiting(5);
        coordinator.register("order-agent", 5, "order");
        assertThat(coordinator.awaitRecords("assignments.order-agent", 5))
                .extracting(assignment -> assignment.get("priority").asString())
                .containsExactly("urgent", "critical", "high", "normal", "low");
    }

    @Test
    void anAgentNeverHoldsMoreThanItsCapacity() {
        coordinator.register("small-agent", 2, "small");
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            ids.add(coordinator.submit(requiring("small")));
        }
        for (int done = 0; done < 6; done++) {
            List<JsonNode> given = coordinator.awaitRecords("assignments.small-agent", Math.min(6, done + 2));
            assertThat(given).hasSizeLessThanOrEqualTo(done + 2);
            coordinator.report(given.get(done), "completed", null);
        }
        ids.forEach(id -> coordinator.awaitTask(id, "completed"));
    }

    @Test
    void aFailedTaskIsRetriedAndThenDeadLettered() {
        String registration = """
                {"agent_id":"failing-agent","agent_type":"worker","capacity":1,"capabilities":["failing"],
                 "resources":{"gpu":1,"memory_gb":2000}}""";
        assertThat(coordinator.post("/agents/register", registration).code()).isEqualTo(200);
        coordinator.reach("failing-agent");
        String id = coordinator.submit("""
                {"task_data":{},"max_attempts":2,"labels":{"team":"search"},"uses":{"openai/gpt-5":1},
                 "requirements":{"capabilities":["failing"],"resources":{"gpu":0.5,"memory_gb":2000}}}""");
        for (int attempt = 1; attempt <= 2; attempt++) {
            JsonNode assignment = coordinator
                    .awaitRecords("assignments.failing-agent", attempt)
                    .get(attempt - 1);
            assertThat(assignment.get("attempt").asInt()).isEqualTo(attempt);
            assertThat(assignment.get("labels")).hasToString("{\"team\":\"search\"}");
            assertThat(assignment.get("uses")).hasToString("{\"openai/gpt-5\":1}");
            assertThat(assignment.at("/requirements/resources")).hasToString("{\"gpu\":0.5,\"memory_gb\":2000}");
            coordinator.report(assignment, "failed", "disk on fire");
        }
        JsonNode task = coordinator.awaitTask(id, "failed");
        assertThat(task.get("error").asString()).isEqualTo("disk on fire");
        assertThat(task.get("labels")).hasToString("{\"team\":\"search\"}");
        assertThat(task.get("requirements"))
                .hasToString("{\"capabilities\":[\"failing\"],\"resources\":{\"gpu\":0.5,\"memory_gb\":2000}}");
        assertThat(deadLetter(id))
                .containsEntry("reason", "attempts_exhausted")
                .containsEntry("detail", "attempt 2 of 2 ended as failed: disk on fire");
    }

    /** Such as a prompt that is too long: a retry costs as much and fails again. */
    @Test
    void aFailureThatIsNotRetryableIsDeadLetteredAtOnce() {
        coordinator.register("permanent-agent", 1, "permanent");
        String id = coordinator.submit(
                "{\"task_data\":{},\"max_attempts\":3,\"requirements\":{\"capabilities\":[\"permanent\"]}}");
        JsonNode assignment =
                coordinator.awaitRecords("assignments.permanent-agent", 1).get(0);

        coordinator.report(RunningCoordinator.result(assignment, "failed")
                .put("error", "prompt too long")
                .put("retryable", false));

        JsonNode task = coordinator.awaitTask(id, "failed");
        assertThat(task.get("error").asString()).isEqualTo("prompt too long");
        assertThat(task.get("attempt").asInt()).isEqualTo(1);
        assertThat(deadLetter(id))
                .containsEntry("reason", "not_retryable")
                .containsEntry("detail", "attempt 1 of 3 ended as failed: prompt too long");
        assertThat(coordinator
                        .get("/tasks/" + id + "/explain")
                        .body()
                        .get("explanation")
                        .asString())
                .isEqualTo("it has ended: failed, attempt 1 with the error \"prompt too long\"");
        assertThat(coordinator.post("/tasks/dead-letter/" + id + "/redrive", "").code())
                .isEqualTo(200);
        coordinator.report(
                coordinator.awaitRecords("assignments.permanent-agent", 2).get(1), "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    /** Such as a rate limit, which says when it ends. */
    @Test
    void theNextAttemptWaitsAsLongAsTheAgentAsksFor() {
        coordinator.register("limited-agent", 1, "limited");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"limited\"]}}");
        JsonNode assignment =
                coordinator.awaitRecords("assignments.limited-agent", 1).get(0);
        Instant before = Instant.now();

        coordinator.report(RunningCoordinator.result(assignment, "failed")
                .put("error", "429")
                .put("retry_after_seconds", 3_600));

        await().atMost(LONG).until(() -> coordinator.get("/tasks/" + id).body().has("not_before"));
        JsonNode task = coordinator.awaitTask(id, "queued");
        Instant notBefore = Instant.parse(task.get("not_before").asString());
        assertThat(notBefore).isBetween(before.plusSeconds(3_600), Instant.now().plusSeconds(3_600));
        assertThat(coordinator
                        .get("/tasks/" + id + "/explain")
                        .body()
                        .get("explanation")
                        .asString())
                .isEqualTo("it is scheduled for " + notBefore + ", after attempt 1 with the error \"429\"");
        assertThat(coordinator.post("/tasks/" + id + "/cancel", "").code()).isEqualTo(200);
    }

    /** An agent behind a firewall reports over HTTP. */
    @Test
    void resultsAreAcceptedOverRest() {
        coordinator.register("http-agent", 1, "over-http");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"over-http\"]}}");
        JsonNode first = coordinator.awaitRecords("assignments.http-agent", 1).get(0);
        String path = "/tasks/" + id + "/results";

        assertThat(coordinator
                        .post(
                                path,
                                Json.text(RunningCoordinator.result(first, "progress")
                                        .put("result", "half")))
                        .code())
                .isEqualTo(202);
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/tasks/" + id)
                        .body()
                        .path("progress")
                        .asString("")
                        .equals("half"));
        String failed = Json.text(RunningCoordinator.result(first, "failed").put("error", "no disk"));
        assertThat(coordinator.post(path, failed).code()).isEqualTo(202);
        JsonNode second = coordinator.awaitRecords("assignments.http-agent", 2).get(1);
        assertThat(coordinator.post(path, failed).code()).as("repeated").isEqualTo(202);
        assertThat(coordinator
                        .post(path, Json.text(RunningCoordinator.result(first, "completed")))
                        .code())
                .as("another result of the first attempt")
                .isEqualTo(409);

        String completed = "{\"attempt\":2,\"agent_id\":\"http-agent\",\"status\":\"completed\",\"result\":[1]}";
        assertThat(second.get("attempt").asInt()).isEqualTo(2);
        assertThat(coordinator.post(path, completed).code()).isEqualTo(202);
        JsonNode task = coordinator.awaitTask(id, "completed");
        assertThat(task.at("/result/0").asInt()).isEqualTo(1);
        assertThat(coordinator.post(path, completed).code()).as("repeated").isEqualTo(202);
        RunningCoordinator.Answer late = coordinator.post(path, completed.replace("http-agent", "another"));
        assertThat(late.code()).isEqualTo(409);
        assertThat(late.detail()).startsWith("attempt 2 is not live at agent another");
    }

    /** A handler that reports every step must not flood the topic. */
    @Test
    void progressOverRestIsThinnedToTheNewest() {
        coordinator.register("chatty-agent", 1, "chatty");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"chatty\"]}}");
        JsonNode assignment =
                coordinator.awaitRecords("assignments.chatty-agent", 1).get(0);

        long before = coordinator.written("tasks.results");
        for (int i = 0; i <= 300; i++) {
            assertThat(coordinator
                            .post(
                                    "/tasks/" + id + "/results",
                                    Json.text(RunningCoordinator.result(assignment, "progress")
                                            .put("result", i)))
                            .code())
                    .isEqualTo(202);
        }

        await().atMost(LONG)
                .until(() ->
                        coordinator.get("/tasks/" + id).body().path("progress").asInt(-1) == 300);
        assertThat(coordinator.written("tasks.results") - before).isLessThan(30);
        coordinator.report(assignment, "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    @Test
    void aRejectedTaskKeepsItsAttempts() {
        coordinator.register("picky-agent", 1, "picky");
        String id = coordinator.submit(
                "{\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"picky\"]}}");
        coordinator.report(
                coordinator.awaitRecords("assignments.picky-agent", 1).get(0), "rejected", "not now");
        coordinator.report(
                coordinator.awaitRecords("assignments.picky-agent", 2).get(1), "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    @Test
    void anOverdueTaskIsRequeuedAndItsLateResultIgnored() {
        coordinator.register("slow-agent", 1, "slow");
        String id = coordinator.submit(
                "{\"task_data\":{},\"timeout_seconds\":1,\"requirements\":{\"capabilities\":[\"slow\"]}}");
        List<JsonNode> given = coordinator.awaitRecords("assignments.slow-agent", 2);
        long lateBefore = late();
        coordinator.report(given.get(0), "completed", null);
        await().atMost(LONG).until(() -> late() > lateBefore);
        assertThat(coordinator.get("/tasks/" + id).body().get("status").asString())
                .isNotEqualTo("completed");
        coordinator.report(given.get(1), "completed", null);
        assertThat(coordinator.awaitTask(id, "completed").get("attempt").asInt())
                .isEqualTo(2);
    }

    @Test
    void tasksOfADeregisteredAgentAreReassigned() {
        coordinator.register("leaving-agent", 1, "handover");
        String id = coordinator.submit(requiring("handover"));
        coordinator.awaitRecords("assignments.leaving-agent", 1);
        coordinator.register("staying-agent", 1, "handover");
        assertThat(coordinator.send("DELETE", "/agents/leaving-agent", null).code())
                .isEqualTo(200);
        JsonNode second =
                coordinator.awaitRecords("assignments.staying-agent", 1).get(0);
        assertThat(second.get("assignment_id").asString()).isEqualTo(id + ":2");
        coordinator.report(second, "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    @Test
    void anUnmatchableTaskDoesNotDelayOthers() {
        for (int i = 0; i < 50; i++) {
            coordinator.publish(
                    "tasks.urgent", null, "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        }
        coordinator.register("free-agent", 1, "free");
        String id = coordinator.submit(
                "{\"task_data\":{},\"priority\":\"low\"," + "\"requirements\":{\"capabilities\":[\"free\"]}}");
        coordinator.report(coordinator.awaitRecords("assignments.free-agent", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    @Test
    void aTaskThatExpiresIsNotAssigned() {
        String id = coordinator.submit("{\"task_data\":{},\"expires_at\":\""
                + Instant.now().plusSeconds(1) + "\",\"requirements\":{\"capabilities\":[\"expiry\"]}}");
        coordinator.awaitTask(id, "expired");
        coordinator.register("expiry-agent", 1, "expiry");
        String second = coordinator.submit(requiring("expiry"));
        assertThat(coordinator
                        .awaitRecords("assignments.expiry-agent", 1)
                        .get(0)
                        .get("task_id")
                        .asString())
                .isEqualTo(second);
    }

    @Test
    void aTaskThatExpiredBeforeItWasReadIsNotAssigned() {
        coordinator.register("late-agent", 1, "late");
        coordinator.publish(
                "tasks.normal", "late-task", """
                {"task_id":"late-task","task_data":{},"expires_at":"%s","requirements":{"capabilities":["late"]}}
                """.formatted(Instant.now().minusSeconds(1)));
        coordinator.awaitTask("late-task", "expired");
    }

    @Test
    void aTaskWaitsForItsTime() {
        coordinator.register("patient-agent", 2, "patient");
        Instant notBefore = Instant.now().plusSeconds(2);
        String later = coordinator.submit("{\"task_data\":{},\"priority\":\"urgent\",\"not_before\":\"" + notBefore
                + "\",\"requirements\":{\"capabilities\":[\"patient\"]}}");
        String now = coordinator.submit(requiring("patient"));
        List<JsonNode> given = coordinator.awaitRecords("assignments.patient-agent", 2);
        assertThat(given)
                .extracting(assignment -> assignment.get("task_id").asString())
                .containsExactly(now, later);
        assertThat(Instant.parse(given.get(1).get("assigned_at").asString())).isAfterOrEqualTo(notBefore);
    }

    @Test
    void aClearedQueueIsNeverExecuted() {
        long before = size("critical");
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            ids.add(coordinator.submit("{\"task_data\":{},\"priority\":\"critical\","
                    + "\"requirements\":{\"capabilities\":[\"cleared\"]}}"));
        }
        await().atMost(LONG).until(() -> size("critical") == before + 30);
        JsonNode cleared =
                coordinator.post("/tasks/queues/critical/clear", null).body();
        assertThat(cleared.get("cleared_count").asLong()).isEqualTo(before + 30);
        ids.forEach(id -> coordinator.awaitTask(id, "cancelled"));
        await().atMost(LONG).until(() -> size("critical") == 0);
        coordinator.register("cleared-agent", 50, "cleared");
        String next = coordinator.submit(requiring("cleared"));
        assertThat(coordinator.awaitRecords("assignments.cleared-agent", 1))
                .extracting(assignment -> assignment.get("task_id").asString())
                .containsExactly(next);
    }

    @Test
    void poisonRecordsAreDeadLetteredAndTheNextRecordIsProcessed() {
        coordinator.register("after-poison", 1, "after-poison");
        coordinator.publish("tasks.normal", "bad-json", "{\"task_data\":");
        coordinator.publish("tasks.normal", "no-value", null);
        coordinator.publish("tasks.normal", "no-data", "{\"task_id\":\"x\"}");
        coordinator.publish("tasks.normal", "too-big", "{\"task_data\":{\"x\":\"" + "x".repeat(1_060_000) + "\"}}");
        coordinator.publish("tasks.results", "bad-result", "[]");
        coordinator.publish("agents.heartbeat", "bad-heartbeat", "nonsense");
        String id = coordinator.submit(requiring("after-poison"));
        coordinator.report(
                coordinator.awaitRecords("assignments.after-poison", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");
        assertThat(deadLetter("bad-json"))
                .containsEntry("reason", "malformed")
                .containsEntry("source-topic", "life.tasks.normal")
                .containsKeys("detail", "source-partition", "source-offset");
        assertThat(deadLetter("no-value")).containsEntry("detail", "the record has no value");
        assertThat(deadLetter("no-data")).containsEntry("detail", "task_data is required");
        assertThat(deadLetter("too-big")).containsEntry("reason", "oversized").containsKey("original-size");
        assertThat(deadLetter("bad-result")).containsEntry("source-topic", "life.tasks.results");
        assertThat(deadLetter("bad-heartbeat")).containsEntry("source-topic", "life.agents.heartbeat");
    }

    @Test
    void anAgentNeedsOnlyKafka() {
        coordinator.publish(
                "agents.heartbeat",
                "kafka-only",
                "{\"agent_id\":\"kafka-only\",\"load_metrics\":{\"cpu_usage\":0.1},\"registration\":"
                        + "{\"agent_id\":\"kafka-only\",\"agent_type\":\"worker\",\"capabilities\":[\"kafka-only\"]}}");
        String id = coordinator.submit(requiring("kafka-only"));
        coordinator.report(coordinator.awaitRecords("assignments.kafka-only", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");
        assertThat(coordinator
                        .get("/agents/kafka-only")
                        .body()
                        .at("/agent/load_metrics/cpu_usage")
                        .asDouble())
                .isEqualTo(0.1);
    }

    private static String requiring(String capability) {
        return "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"" + capability + "\"]}}";
    }

    private static void awaitWaiting(int count) {
        await().atMost(LONG).until(() -> {
            long[] waiting = {0};
            coordinator.get("/tasks/queues").body().get("queue_sizes").forEach(size -> waiting[0] += size.asLong());
            return waiting[0] >= count;
        });
    }

    private static long size(String priority) {
        return coordinator
                .get("/tasks/queues")
                .body()
                .at("/queue_sizes/" + priority)
                .asLong();
    }

    private static long late() {
        return coordinator.get("/tasks/status").body().at("/stats/late_results").asLong();
    }

    /** Returns the headers of the dead letter with this key. */
    private static Map<String, String> deadLetter(String key) {
        List<ConsumerRecord<String, String>> letters = new ArrayList<>();
        await().atMost(LONG).until(() -> {
            letters.addAll(coordinator.awaitRaw("tasks.dead-letter", 1));
            return letters.stream().anyMatch(letter -> key.equals(letter.key()));
        });
        Map<String, String> headers = new HashMap<>();
        letters.stream()
                .filter(letter -> key.equals(letter.key()))
                .findFirst()
                .orElseThrow()
                .headers()
                .forEach(header -> headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8)));
        return headers;
    }
}

package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.CopyArgs;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/**
 * Redis loses its last writes, as in a failover to a replica that lagged behind: a snapshot of it replaces it. In between, tasks have ended, failed, been
 * requeued, cancelled and redriven.
 */
class LostWritesTest {
    private static final Duration LONG = Duration.ofMinutes(2);
    private static final int DATABASE = 2;
    private static final int SNAPSHOT = 3;

    private LocalStack stack;
    private RunningCoordinator coordinator;
    private RedisClient client;
    private RedisCommands<String, String> redis;
    private RedisCommands<String, String> snapshot;
    private int assignments;

    @BeforeEach
    void start() {
        stack = LocalStack.start();
        client = RedisClient.create(stack.redisUrl());
        redis = client.connect().sync();
        redis.select(DATABASE);
        snapshot = client.connect().sync();
        snapshot.select(SNAPSHOT);
        coordinator = coordinator();
    }

    private RunningCoordinator coordinator() {
        return RunningCoordinator.start(stack, "", DATABASE, "--aitbc.registry.heartbeat-timeout=10m");
    }

    @AfterEach
    void end() {
        coordinator.close();
        client.shutdown();
        stack.close();
    }

    @Test
    void whatWasLostIsRestoredAndNothingRunsTwice() throws Exception {
        prepare();
        Map<String, String> before = states();
        Set<String> held = Set.copyOf(redis.hkeys("agent:agent:inflight"));
        int given = assignments;
        int noted = Integer.parseInt(redis.hget("limit:money", "noted"));

        loseWrites("2 " + Instant.now().toEpochMilli() + " 0123456789abcdef");
        await().atMost(LONG).until(() -> IndexMark.isOf(redis, String.valueOf(redis.get("index:complete"))));

        // Those that wait are recorded again by the owners of their queues.
        await().atMost(LONG).untilAsserted(() -> assertThat(states()).isEqualTo(before));
        assertThat(Set.copyOf(redis.hkeys("agent:agent:inflight"))).isEqualTo(held);
        assertThat(redis.exists("agent:gone:inflight")).isZero();
        assertThat(coordinator
                        .get("/tasks/new-completed")
                        .body()
                        .at("/result/done")
                        .asBoolean())
                .isTrue();
        assertThat(coordinator.get("/limits/jobs").body().at("/limit/in_use").asInt())
                .isEqualTo(2);
        assertThat(coordinator
                        .get("/limits/money")
                        .body()
                        .at("/limit/budget/spent")
                        .asInt())
                .isEqualTo(noted);

        restartFromTheBeginning();
        assertThat(states().entrySet()).containsAll(before.entrySet());
        // The next owner publishes again what it finds to be assigned, and the agent drops it.
        assertThat(assignedAfter(given))
                .isSubsetOf(held.stream()
                        .map(id -> id + ":" + before.get(id).split(" ", -1)[1])
                        .toList());
        for (String running : held) {
            JsonNode assignment = coordinator.awaitRecords("assignments.agent", given).stream()
                    .filter(one -> one.path("assignment_id")
                            .asString("")
                            .equals(running + ":" + before.get(running).split(" ")[1]))
                    .findFirst()
                    .orElseThrow();
            coordinator.report(assignment, "completed", null);
            coordinator.awaitTask(running, "completed");
        }
        assertThat(redis.exists("agent:agent:inflight")).isZero();
    }

    /** What the verification is for. */
    @Test
    void withoutVerificationATaskRunsTwice() throws Exception {
        prepare();

        loseWrites(IndexMark.of(redis, Instant.now()));
        restartFromTheBeginning();

        await().atMost(LONG)
                .untilAsserted(() -> assertThat(assignedAfter(assignments)).contains("new-completed:1"));
    }

    /** The assignments published after the first ones. */
    private List<String> assignedAfter(int given) {
        return coordinator.records("assignments.agent").stream()
                .skip(given)
                .map(record -> Json.read(record.value().getBytes(StandardCharsets.UTF_8), JsonNode.class)
                        .path("assignment_id")
                        .asString(""))
                .toList();
    }

    /** All that can happen to a task happens after the snapshot is taken. */
    private void prepare() {
        coordinator.register("agent", 50, "work");
        coordinator.register("gone", 50, "other");
        put("/limits/jobs", "{\"concurrency\":10}");
        put("/limits/money", "{\"budget\":{\"units\":1000,\"per\":\"month\"}}");
        submit("redriven", "\"max_attempts\":1");
        report("redriven", 1, "failed");
        coordinator.awaitTask("redriven", "failed");
        submit("completed", "\"uses\":{\"jobs\":1,\"money\":5}");
        submit("retried", "\"uses\":{\"jobs\":1}");
        submit("retried-completed", "\"max_attempts\":3");
        submit("cancelled", "\"uses\":{\"jobs\":1}");
        submit("failed", "\"max_attempts\":1");
        submit("not-dead-lettered", "\"max_attempts\":1");
        submit("failed-redriven", "\"max_attempts\":1");
        for (String waiting : List.of("cancelled-waiting", "waiting")) {
            submitWaiting(waiting, "");
        }
        submitWaiting("expired", ",\"expires_at\":\"" + Instant.now().plusSeconds(15) + "\"");
        coordinator.submit("{\"task_id\":\"moved\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"other\"]}}");
        coordinator.awaitTask("moved", "assigned");
        Stream.of("cancelled-waiting", "waiting", "expired").forEach(id -> coordinator.awaitTask(id, "queued"));
        await().atMost(LONG).until(() -> redis.exists("index:written") == 1);

        redis.keys("*").forEach(key -> redis.copy(key, key, CopyArgs.Builder.destinationDb(SNAPSHOT)));

        report("completed", 1, "completed");
        report("retried", 1, "failed");
        awaitAssigned("retried", 2);
        report("retried-completed", 1, "failed");
        awaitAssigned("retried-completed", 2);
        report("retried-completed", 2, "completed");
        assertThat(coordinator.post("/tasks/cancelled/cancel", "").code()).isEqualTo(200);
        assignments++;
        report("failed", 1, "failed");
        report("failed-redriven", 1, "failed");
        coordinator.awaitTask("failed-redriven", "failed");
        for (String redriven : List.of("redriven", "failed-redriven")) {
            assertThat(coordinator
                            .post("/tasks/dead-letter/" + redriven + "/redrive", "")
                            .code())
                    .isEqualTo(200);
            awaitAssigned(redriven, 2);
        }
        // A coordinator died between the event and the dead letter: whoever finds the attempt held writes both.
        TaskEvent event = TaskEvent.recordLost("not-dead-lettered", 1, Json.tree("quota"), Instant.now());
        coordinator.publish("tasks.events", event.taskId(), Json.text(event));
        submit("new", "\"uses\":{\"jobs\":1,\"money\":7}");
        submit("new-completed", "\"max_attempts\":3");
        report("new-completed", 1, "completed");
        submitWaiting("new-cancelled", "");
        submitWaiting("new-waiting", "");
        for (String cancelled : List.of("cancelled-waiting", "new-cancelled")) {
            coordinator.awaitTask(cancelled, "queued");
            assertThat(coordinator.post("/tasks/" + cancelled + "/cancel", "").code())
                    .isEqualTo(200);
        }
        coordinator.register("heir", 50, "other");
        coordinator.send("DELETE", "/agents/gone", null);
        coordinator.awaitRecords("assignments.heir", 1);
        Map.of(
                        "completed",
                        "completed",
                        "retried-completed",
                        "completed",
                        "failed",
                        "failed",
                        "new-completed",
                        "completed",
                        "expired",
                        "expired")
                .forEach(coordinator::awaitTask);
        awaitSettled();
    }

    private void put(String path, String body) {
        assertThat(coordinator.send("PUT", path, body).code()).isEqualTo(200);
    }

    private void submit(String id, String member) {
        coordinator.submit("{\"task_id\":\"" + id + "\",\"task_data\":{}," + member
                + ",\"requirements\":{\"capabilities\":[\"work\"]}}");
        awaitAssigned(id, 1);
    }

    private void submitWaiting(String id, String member) {
        coordinator.submit("{\"task_id\":\"" + id + "\",\"task_data\":{}" + member
                + ",\"requirements\":{\"capabilities\":[\"nobody has\"]}}");
    }

    private JsonNode awaitAssigned(String id, int attempt) {
        assignments++;
        String wanted = id + ":" + attempt;
        return coordinator.awaitRecords("assignments.agent", assignments).stream()
                .filter(one -> one.path("assignment_id").asString("").equals(wanted))
                .findFirst()
                .orElseThrow();
    }

    private void report(String id, int attempt, String status) {
        JsonNode assignment = coordinator.awaitRecords("assignments.agent", assignments).stream()
                .filter(one -> one.path("assignment_id").asString("").equals(id + ":" + attempt))
                .findFirst()
                .orElseThrow();
        if (status.equals("completed")) {
            coordinator.report(assignment, status, null);
        } else {
            coordinator.report(RunningCoordinator.result(assignment, status)
                    .put("error", "quota")
                    .put("retry_after_seconds", 0));
        }
    }

    /** Once nothing would be settled again. */
    private void awaitSettled() {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()))) {
            await().atMost(LONG)
                    .until(() -> committed(admin, "agent-coordinator.results").values().stream()
                                    .mapToLong(OffsetAndMetadata::offset)
                                    .sum()
                            == coordinator.written("tasks.results"));
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> committed(Admin admin, String group) throws Exception {
        return admin.listConsumerGroupOffsets(group)
                .partitionsToOffsetAndMetadata()
                .get();
    }

    private Map<String, String> states() {
        Map<String, String> states = new TreeMap<>();
        for (String key : redis.keys("task:*")) {
            String id = key.substring("task:".length());
            JsonNode task = coordinator.get("/tasks/" + id).body();
            states.put(
                    id,
                    task.path("status").asString("") + " "
                            + task.path("attempt").asInt() + " "
                            + task.path("agent_id").asString(""));
        }
        return states;
    }

    /** Redis is as it was when the snapshot was taken, but for its mark. */
    private void loseWrites(String mark) {
        snapshot.set("index:complete", mark);
        redis.swapdb(DATABASE, SNAPSHOT);
    }

    /** The next coordinator reads all tasks again: the one before has not committed what it had done. */
    private void restartFromTheBeginning() throws Exception {
        coordinator.close();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()))) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            committed(admin, "agent-coordinator")
                    .forEach((partition, committed) -> offsets.put(partition, new OffsetAndMetadata(0)));
            admin.alterConsumerGroupOffsets("agent-coordinator", offsets).all().get();
            admin.deleteTopics(List.of("coordinator.ledger")).all().get();
        }
        coordinator = coordinator();
        String last = coordinator.submit(
                "{\"task_data\":{},\"priority\":\"low\",\"requirements\":{\"capabilities\":[\"nobody has\"]}}");
        coordinator.awaitTask(last, "queued");
    }
}

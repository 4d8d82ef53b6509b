package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Commits of the group are lost or reset, or records are deleted, while no coordinator runs. */
class LostDataTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final int DATABASE = 15;
    private static final String PREFIX = "lost-data.";
    private static final String GROUP = PREFIX + "agent-coordinator";
    private static final int TASKS = 100;

    private final LocalStack stack = LocalStack.shared();
    private RedisClient client;
    private RedisCommands<String, String> redis;
    private RunningCoordinator coordinator;
    private Admin admin;

    @BeforeEach
    void start() {
        client = RedisClient.create(stack.redisUrl() + "/" + DATABASE);
        redis = client.connect().sync();
        admin = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()));
        coordinator = startCoordinator();
    }

    private RunningCoordinator startCoordinator(String... settings) {
        return RunningCoordinator.start(stack, PREFIX, DATABASE, settings);
    }

    @AfterEach
    void end() {
        coordinator.close();
        admin.close();
        client.shutdown();
    }

    /** While their records are still there, and Redis has forgotten them. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void finishedTasksAreNotExecutedAgain(boolean isGroupDeleted) throws Exception {
        String agent = isGroupDeleted ? "after-delete" : "after-reset";
        coordinator.register(agent, 200, agent);
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < TASKS; i++) {
            ids.add(submit(agent));
        }
        String waiting = submit("nobody-" + agent);
        for (JsonNode assignment : coordinator.awaitRecords("assignments." + agent, TASKS)) {
            coordinator.report(assignment, "completed", null);
        }
        ids.forEach(id -> coordinator.awaitTask(id, "completed"));
        coordinator.close();
        redis.del(ids.stream().map(id -> "task:" + id).toArray(String[]::new));
        if (isGroupDeleted) {
            admin.deleteConsumerGroups(List.of(GROUP)).all().get();
        } else {
            Map<TopicPartition, OffsetAndMetadata> first = new HashMap<>();
            admin.listConsumerGroupOffsets(GROUP)
                    .partitionsToOffsetAndMetadata()
                    .get()
                    .forEach((partition, commit) -> first.put(partition, new OffsetAndMetadata(0)));
            admin.alterConsumerGroupOffsets(GROUP, first).all().get();
        }

        coordinator = startCoordinator();

        String next = submit(agent);
        coordinator.awaitTask(next, "assigned");
        coordinator.awaitRecords("assignments." + agent, TASKS + 1);
        assertThat(coordinator.written("assignments." + agent)).isEqualTo(TASKS + 1);
        // Neither is one forgotten that waits before them.
        assertThat(coordinator.awaitTask(waiting, "queued").get("attempt").asInt())
                .isEqualTo(1);
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/tasks/queues")
                                .body()
                                .at("/queue_sizes/normal")
                                .asInt()
                        >= 1);
        coordinator.post("/tasks/" + waiting + "/cancel", "");
        coordinator.awaitTask(waiting, "cancelled");
    }

    private String submit(String capability) {
        return submitTask(",\"requirements\":{\"capabilities\":[\"" + capability + "\"]}");
    }

    private String submitTask(String more) {
        return coordinator.submit("{\"task_data\":{}" + more + "}");
    }

    /** An earlier owner that writes late, such as one that was paused, takes nothing back. */
    @Test
    void aLateRecordOfAnEarlierOwnerDoesNoHarm() throws Exception {
        coordinator.register("zombie-agent", 10, "zombie");
        String id = submit("zombie");
        coordinator.report(
                coordinator.awaitRecords("assignments.zombie-agent", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");
        coordinator.close();
        try (KafkaProducer<String, String> zombie = new KafkaProducer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
            for (int partition = 0; partition < 3; partition++) {
                zombie.send(new ProducerRecord<>(
                        PREFIX + "coordinator.ledger",
                        PREFIX + "tasks.normal-" + partition + " zombie",
                        Json.text(Json.object().put("offset", 0).put("metadata", ""))));
            }
        }
        redis.del("task:" + id);
        admin.deleteConsumerGroups(List.of(GROUP)).all().get();

        coordinator = startCoordinator();

        coordinator.awaitTask(submit("zombie"), "assigned");
        coordinator.awaitRecords("assignments.zombie-agent", 2);
        assertThat(coordinator.written("assignments.zombie-agent")).isEqualTo(2);
    }

    private void awaitFullBacklog(String taskId) {
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(coordinator
                                .get("/health")
                                .body()
                                .at("/dispatch/detail")
                                .asString(""))
                        .startsWith("the backlog is full: "));
        assertThat(coordinator.text("/metrics")).contains("coordinator_backlog_full 1.0");
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(coordinator
                                .get("/tasks/" + taskId + "/explain")
                                .body()
                                .get("explanation")
                                .asString())
                        .endsWith("the backlog of a coordinator is full, so tasks further back are not read yet"));
    }

    /** Their tasks would wait forever. */
    @Test
    void tasksFailIfTheirRecordsAreDeleted() throws Exception {
        coordinator.close();
        // A small backlog: some of the tasks are not read.
        coordinator = startCoordinator("--aitbc.dispatch.max-indexed=5");
        coordinator.register("able-agent", 5, "able");
        String able = ",\"requirements\":{\"capabilities\":[\"able\"]}";
        String held = submitTask(able);
        coordinator.awaitTask(held, "assigned");
        List<String> lost = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            lost.add(submitTask(",\"fairness_key\":\"acme\",\"requirements\":{\"capabilities\":[\"nobody\"]}"));
        }
        String urgent = submitTask(",\"priority\":\"urgent\",\"requirements\":{\"capabilities\":[\"nobody\"]}");
        awaitFullBacklog(lost.get(0));
        coordinator.close();
        Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
        for (int partition = 0; partition < 3; partition++) {
            all.put(new TopicPartition(PREFIX + "tasks.normal", partition), RecordsToDelete.beforeOffset(-1));
        }
        admin.deleteRecords(all).all().get();

        coordinator = startCoordinator();

        for (String id : lost) {
            JsonNode task = coordinator.awaitTask(id, "failed");
            assertThat(task.get("error").asString()).startsWith("record lost: its record at normal:");
        }
        assertThat(coordinator.get("/tasks/" + held).body().get("status").asString())
                .isEqualTo("assigned");
        assertThat(coordinator.get("/tasks/" + urgent).body().get("status").asString())
                .isEqualTo("queued");
        assertThat(redis.exists("waiting:acme")).isZero();
        JsonNode letters =
                coordinator.get("/tasks/dead-letter?limit=100").body().get("dead_letters");
        assertThat(letters.valueStream()
                        .filter(letter -> letter.get("reason").asString().equals("record_lost"))
                        .map(letter -> letter.get("task_id").asString()))
                .containsExactlyInAnyOrderElementsOf(lost);
        assertThat(coordinator.text("/metrics")).contains("coordinator_records_lost_total 30.0");
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/tasks/queues")
                                .body()
                                .at("/queue_sizes/normal")
                                .asInt()
                        == 0);
        coordinator.awaitTask(submitTask(able), "assigned");
    }
}

package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
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
    @ValueSource(strings = {"deleted", "to-earliest", "to-latest"})
    void finishedTasksAreNotExecutedAgain(String offsets) throws Exception {
        String agent = "after-" + offsets;
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
        if (offsets.equals("deleted")) {
            admin.deleteConsumerGroups(List.of(GROUP)).all().get();
        } else {
            reset(offsets.equals("to-earliest") ? OffsetSpec.earliest() : OffsetSpec.latest());
        }

        coordinator = startCoordinator();

        String next = submit(agent);
        coordinator.awaitTask(next, "assigned");
        coordinator.awaitRecords("assignments." + agent, TASKS + 1);
        assertThat(coordinator.written("assignments." + agent)).isEqualTo(TASKS + 1);
        // Neither is one forgotten that waits before them.
        assertThat(coordinator.awaitTask(waiting, "queued").get("attempt").asInt())
                .isEqualTo(1);
        await().atMost(LONG).until(() -> size("normal") >= 1);
        coordinator.post("/tasks/" + waiting + "/cancel", "");
        coordinator.awaitTask(waiting, "cancelled");
    }

    /** As by {@code kafka-consumer-groups.sh --reset-offsets}. */
    private void reset(OffsetSpec to) throws Exception {
        Map<TopicPartition, OffsetSpec> partitions = new HashMap<>();
        admin.listConsumerGroupOffsets(GROUP)
                .partitionsToOffsetAndMetadata()
                .get()
                .forEach((partition, commit) -> partitions.put(partition, to));
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        admin.listOffsets(partitions)
                .all()
                .get()
                .forEach((partition, found) -> offsets.put(partition, new OffsetAndMetadata(found.offset())));
        admin.alterConsumerGroupOffsets(GROUP, offsets).all().get();
    }

    private int size(String queue) {
        return coordinator
                .get("/tasks/queues")
                .body()
                .at("/queue_sizes/" + queue)
                .asInt();
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
        writeLedger("zombie", "{\"offset\":0,\"metadata\":\"%s\"}");
        redis.del("task:" + id);
        admin.deleteConsumerGroups(List.of(GROUP)).all().get();

        coordinator = startCoordinator();

        coordinator.awaitTask(submit("zombie"), "assigned");
        coordinator.awaitRecords("assignments.zombie-agent", 2);
        assertThat(coordinator.written("assignments.zombie-agent")).isEqualTo(2);
    }

    /** Of a broken tool, or of a broker that has lost its disk. */
    @Test
    void impossibleRecordsOfTheLedgerDoNoHarm() throws Exception {
        String waiting = submit("nobody-impossible");
        coordinator.awaitTask(waiting, "queued");
        coordinator.close();
        writeLedger("beyond", "{\"offset\":1000000000000,\"metadata\":\"%s\"}");
        writeLedger("untagged", "{\"offset\":1000000000000,\"metadata\":\"\"}");
        writeLedger("negative", "{\"offset\":-5,\"metadata\":\"%s\"}");
        writeLedger("far", "{\"offset\":0,\"metadata\":\"%s\",\"chunk\":900000000,\"done\":\"AQ==\"}");
        writeLedger("future", "{\"offset\":0,\"metadata\":\"%s\",\"chunk\":5,\"done\":\"/////w==\"}");
        writeLedger("overflow", "{\"offset\":0,\"metadata\":\"%s\",\"chunk\":9223372036854775807,\"done\":\"AQ==\"}");

        coordinator = startCoordinator();

        coordinator.register("possible-agent", 10, "possible");
        List<String> next = List.of(submit("possible"), submit("possible"), submit("possible"));
        next.forEach(id -> coordinator.awaitTask(id, "assigned"));
        await().atMost(LONG).until(() -> size("normal") == 1);
        next.forEach(id -> coordinator.post("/tasks/" + id + "/cancel", ""));
        coordinator.post("/tasks/" + waiting + "/cancel", "");
        coordinator.awaitTask(waiting, "cancelled");
    }

    /** @param value {@code %s} stands for the tag of the topic */
    private void writeLedger(String writer, String value) throws Exception {
        String topic = PREFIX + "tasks.normal";
        Uuid id = admin.describeTopics(List.of(topic))
                .allTopicNames()
                .get()
                .get(topic)
                .topicId();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
            for (int partition = 0; partition < 3; partition++) {
                producer.send(new ProducerRecord<>(
                        PREFIX + "coordinator.ledger",
                        topic + "-" + partition + " " + writer,
                        value.formatted(CommitTag.with(id, ""))));
            }
        }
    }

    /** Its records are gone with it, although the new one has records at the same positions. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void tasksFailIfTheirTopicIsCreatedAnew(boolean isRunning) throws Exception {
        String topic = PREFIX + "tasks.high";
        List<String> lost = new ArrayList<>();
        for (int i = 0; i < 9; i++) {
            lost.add(submitTask(",\"priority\":\"high\",\"requirements\":{\"capabilities\":[\"nobody\"]}"));
        }
        lost.forEach(id -> coordinator.awaitTask(id, "queued"));
        String other = submit("nobody");
        await().atMost(LONG).until(() -> size("high") == lost.size());
        Uuid before = admin.describeTopics(List.of(topic))
                .allTopicNames()
                .get()
                .get(topic)
                .topicId();
        // The ledger names the topic once it has been written.
        await().atMost(LONG).until(() -> coordinator.written("coordinator.ledger") > 0);
        if (!isRunning) {
            coordinator.close();
        }
        admin.deleteTopics(List.of(topic)).all().get();
        if (!isRunning) {
            await().atMost(LONG).ignoreExceptions().until(() -> {
                admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1)))
                        .all()
                        .get();
                return true;
            });
            // As if another coordinator had accepted it already.
            keepInNewTopic(topic, "kept");
            coordinator = startCoordinator();
        }

        lost.forEach(id -> assertThat(
                        coordinator.awaitTask(id, "failed").get("error").asString())
                .startsWith("record lost: its record at high:"));
        if (!isRunning) {
            assertThat(coordinator.get("/tasks/kept").body().get("status").asString())
                    .isEqualTo("queued");
            coordinator.post("/tasks/kept/cancel", "");
        }
        assertThat(coordinator.get("/tasks/" + other).body().get("status").asString())
                .isEqualTo("queued");
        assertThat(admin.describeTopics(List.of(topic))
                        .allTopicNames()
                        .get()
                        .get(topic)
                        .topicId())
                .isNotEqualTo(before);
        String next = submitTask(",\"priority\":\"high\",\"requirements\":{\"capabilities\":[\"nobody\"]}");
        assertThat(coordinator.awaitTask(next, "queued").get("attempt").asInt()).isEqualTo(1);
        List.of(next, other).forEach(id -> coordinator.post("/tasks/" + id + "/cancel", ""));
    }

    private void keepInNewTopic(String topic, String taskId) throws Exception {
        String task = "{\"task_id\":\"" + taskId + "\",\"task_data\":{},\"submitted_at\":\"2026-01-01T00:00:00Z\","
                + "\"requirements\":{\"capabilities\":[\"nobody\"]}}";
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
            RecordMetadata record =
                    producer.send(new ProducerRecord<>(topic, taskId, task)).get();
            String position = "high:" + record.partition() + ":" + record.offset();
            StoredTask.put(redis, taskId, Map.of("status", "queued", "attempt", "1", "position", position));
        }
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
                        .endsWith("the backlog of a coordinator is full, so this task may not have been read yet"));
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
                        .map(letter -> letter.get("task_id").asString())
                        .filter(lost::contains))
                .containsExactlyInAnyOrderElementsOf(lost);
        assertThat(coordinator.text("/metrics")).contains("coordinator_records_lost_total 30.0");
        Set<String> failed = new HashSet<>(lost);
        coordinator.follow("tasks.events", 0, event -> {
            if (event.at("/data/reason").asString("").equals("record_lost")) {
                failed.remove(event.get("subject").asString());
            }
            return !failed.isEmpty();
        });
        await().atMost(LONG).until(() -> size("normal") == 0);
        coordinator.awaitTask(submitTask(able), "assigned");
    }
}

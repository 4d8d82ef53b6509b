package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

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
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Records of waiting tasks are deleted while no coordinator runs: their tasks would wait forever. */
class LostRecordsTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final int DATABASE = 5;
    private static final String PREFIX = "lost-records.";

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
        // A small window: some of the tasks have not been read.
        coordinator = coordinator();
    }

    private RunningCoordinator coordinator() {
        return RunningCoordinator.start(stack, PREFIX, DATABASE, "--aitbc.dispatch.window-per-partition=2");
    }

    @AfterEach
    void end() {
        coordinator.close();
        admin.close();
        client.shutdown();
    }

    private String submit(String more) {
        return coordinator.submit("{\"task_data\":{}" + more + "}");
    }

    @Test
    void theirTasksFailAndAllOthersGoOn() throws Exception {
        coordinator.register("agent", 5, "able");
        String able = ",\"requirements\":{\"capabilities\":[\"able\"]}";
        String held = submit(able);
        coordinator.awaitTask(held, "assigned");
        List<String> lost = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            lost.add(submit(",\"fairness_key\":\"acme\",\"requirements\":{\"capabilities\":[\"nobody\"]}"));
        }
        String urgent = submit(",\"priority\":\"urgent\",\"requirements\":{\"capabilities\":[\"nobody\"]}");
        coordinator.close();
        Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
        for (int partition = 0; partition < 3; partition++) {
            all.put(new TopicPartition(PREFIX + "tasks.normal", partition), RecordsToDelete.beforeOffset(-1));
        }
        admin.deleteRecords(all).all().get();

        coordinator = coordinator();

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
        coordinator.awaitTask(submit(able), "assigned");
    }
}

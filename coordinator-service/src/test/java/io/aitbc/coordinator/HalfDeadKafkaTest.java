package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A Kafka that responds but cannot do everything needed: health reports it, and nothing is lost. */
class HalfDeadKafkaTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static RunningCoordinator coordinator;
    private static Admin admin;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "halfdead.", 7);
        admin = Admin.create(Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, LocalStack.shared().bootstrapServers()));
        coordinator.register("agent", 100);
    }

    @AfterAll
    static void stop() {
        admin.close();
        coordinator.close();
    }

    /** As with too few in-sync replicas: metadata and sizes are still available. */
    @Test
    void refusedRecordsAreReported() throws Exception {
        coordinator.awaitHealthy();
        limitRecordSize("halfdead.coordinator.control", "1");
        try {
            RunningCoordinator.Answer health = awaitUnhealthy("kafka");
            assertThat(health.body().at("/kafka/detail").asString()).startsWith("it responds, but ");
            await().atMost(LONG)
                    .untilAsserted(
                            () -> assertThat(metric("coordinator_kafka_up")).isEqualTo("0.0"));
        } finally {
            limitRecordSize("halfdead.coordinator.control", "1000000");
        }
        coordinator.awaitHealthy();
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(metric("coordinator_kafka_up")).isEqualTo("1.0"));
    }

    /** Tasks are dispatched and completed, but the next owner would read them all again. */
    @Test
    void refusedCommitsAreReported() throws Exception {
        coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");
        limitRecordSize("__consumer_offsets", "1");
        try {
            String id = coordinator.submit("{\"task_data\":{}}");
            coordinator.awaitTask(id, "assigned");
            RunningCoordinator.Answer health = awaitUnhealthy("threads");
            assertThat(health.body().at("/threads/detail").asString())
                    .contains("the commit of thread dispatcher has been failing for ");
            await().atMost(LONG)
                    .untilAsserted(() ->
                            assertThat(metric("coordinator_threads_failing")).isNotEqualTo("0.0"));
        } finally {
            limitRecordSize("__consumer_offsets", "1000000");
        }
        coordinator.awaitHealthy();
        assertThat(metric("coordinator_threads_failing")).isEqualTo("0.0");
    }

    /** There is nothing left to commit, so no later commit would clear the alarm. */
    @Test
    void aFailedCommitIsForgottenWithItsPartitions() throws Exception {
        coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");
        limitRecordSize("__consumer_offsets", "1");
        try {
            coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");
            awaitUnhealthy("threads");
            // Dispatch restarts, and gets no partitions because no group can be joined now.
            admin.deleteTopics(List.of("halfdead.tasks.low")).all().get();
            await().atMost(LONG)
                    .untilAsserted(() -> assertThat(coordinator
                                    .get("/health")
                                    .body()
                                    .at("/threads")
                                    .toString())
                            .doesNotContain("the commit of thread dispatcher"));
        } finally {
            limitRecordSize("__consumer_offsets", "1000000");
        }
        coordinator.awaitHealthy();
    }

    private static RunningCoordinator.Answer awaitUnhealthy(String part) {
        return await().atMost(LONG)
                .until(
                        () -> coordinator.get("/health"),
                        health -> health.code() == 503
                                && health.body()
                                        .at("/" + part + "/state")
                                        .asString()
                                        .equals("down"));
    }

    private static void limitRecordSize(String topic, String bytes) throws ExecutionException, InterruptedException {
        admin.incrementalAlterConfigs(Map.of(
                        new ConfigResource(ConfigResource.Type.TOPIC, topic),
                        List.of(new AlterConfigOp(
                                new ConfigEntry(TopicConfig.MAX_MESSAGE_BYTES_CONFIG, bytes),
                                AlterConfigOp.OpType.SET))))
                .all()
                .get();
    }

    private static String metric(String name) {
        return coordinator
                .text("/metrics")
                .lines()
                .filter(line -> line.startsWith(name + " "))
                .map(line -> line.substring(name.length() + 1))
                .findFirst()
                .orElseThrow();
    }
}
